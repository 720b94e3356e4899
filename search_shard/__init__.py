"""The search engine of one shard, and the merging of shards.  Pure: no clock, no files, no wire."""

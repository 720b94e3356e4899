"""What else a word may be written as: years, numbers, places, synonyms.

Each table of this package has ``version`` and ``alternatives(word)`` for a *folded* word; see
docs/spec/rules.md.
"""

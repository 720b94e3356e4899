"""The search kernel, which pyproject.toml cannot say yet; all else stands there."""

from pathlib import Path

from setuptools import Extension, setup

KERNEL = Path("search_shard", "kernel")

setup(
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    ext_modules=[
        Extension(
            "search_shard._kernel",
            sources=sorted(map(str, KERNEL.glob("*.c"))),
            depends=sorted(map(str, KERNEL.glob("*.h"))),
            extra_compile_args=["-O3", "-fvisibility=hidden"],
            py_limited_api=True,
            optional=True,  # where no compiler is at hand searches go the long way
        )
    ],
)

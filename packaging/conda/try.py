"""Builds the recipe, installs the package as conda does, and tries it there."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import channel
import rattler
import rattler_build

here = Path(__file__).resolve().parent
work = Path.cwd()
version = sys.argv[1]
minor = f"{sys.version_info[0]}.{sys.version_info[1]}"

subdir = str(rattler.Subdir.current())
local = work / "channel"
channel.make(local, subdir, work)
asyncio.run(rattler.index.index_fs(local))
uri = local.as_uri()

print("== building")
recipe = work / "recipe" / "recipe.yaml"
recipe.write_text((here / "recipe.yaml").read_text().replace("0.0.0", version))
variants = rattler_build.VariantConfig({"python_min": [minor]})
(rendered,) = rattler_build.Stage0Recipe.from_file(recipe).render(variants)
result = rendered.run_build(
    rattler_build.ToolConfiguration(test_strategy="skip"),
    output_dir=work / "built",
    channels=[uri],
)
(package,) = result.packages
print(package)
built = rattler_build.Package.from_file(package)
print(*built.files, sep="\n")

print("== the recipe's tests")
for outcome in built.run_tests(channel=[uri, (work / "built").as_uri()]):
    print(outcome.test_index, "passed" if outcome.success else "\n".join(outcome.output))
    if not outcome.success:
        sys.exit("a test of the recipe failed")


async def environment(*specs):
    """Solve and install; what is there already and not asked for goes."""
    records = await rattler.solve([uri, (work / "built").as_uri()], specs)
    prefix = work / "environment"
    installed = [
        rattler.PrefixRecord.from_path(path) for path in prefix.glob("conda-meta/*.json")
    ]
    await rattler.install(
        records,
        prefix,
        cache_dir=work / "cache",
        installed_packages=installed,
        show_progress=False,
    )
    return prefix


def found(prefix):
    """Return what the package has at the top of site-packages."""
    site = prefix / channel.LIB / "site-packages"
    return sorted(path.name for path in site.glob("requests_scitokens*"))


print("== installed")
prefix = asyncio.run(environment("requests-scitokens"))
print(*found(prefix), sep="\n")
assert "requests_scitokens.pth" in found(prefix)
subprocess.run([prefix / "bin/python", here.parent / "autopatch.py"], check=True)

print("== removed")
asyncio.run(environment("requests", "wrapt", "scitokens"))
assert not found(prefix), found(prefix)

build = here.parent.parent / "build"
build.mkdir(exist_ok=True)
shutil.copy2(package, build)
print(f"passed: build/{Path(package).name}")

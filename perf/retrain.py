"""The default run, trained anew under the same seed with other rounding: `python perf/retrain.py FOLDER`.

Leaves FOLDER/0, the run as it comes, and FOLDER/1 and so on, each with other instruction sets for torch, oneDNN or
MKL, which is what another processor does. On a processor that lacks an instruction set two of them may train the same
networks: `results/baseline.py` says so. A folder that is complete is not run again. Takes some ten minutes a folder on
two cores.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROUNDINGS: tuple[dict[str, str], ...] = (
    {},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
)
HELD = "vaex,gan-search,hybrid,dvae"
SPARED = ("--set", "data.probes=1", "--set", "autoencoders.epochs=1")
"""What no held number rests on."""


def main(folder: Path, *options: str) -> None:
    """Run what is not there yet."""
    for place, rounding in enumerate(ROUNDINGS):
        run = folder / str(place)
        if (run / "rounding.json").exists():
            continue
        command = [
            sys.executable,
            "-m",
            "benchmark",
            "run",
            "--methods",
            HELD,
            *SPARED,
            "--results",
            str(run),
            *options,
        ]
        subprocess.run(command, env=os.environ | rounding, check=True)
        (run / "rounding.json").write_text(json.dumps(rounding), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("name a folder to write the runs to; options of benchmark run may follow", file=sys.stderr)
        sys.exit(2)
    main(Path(sys.argv[1]), *sys.argv[2:])

"""Energy is what the counters of the machine say, over their end, and nothing where it does not tell."""

from pathlib import Path

import pytest

from detect_transfer.workflows.run_energy import EnergyMeter


def counter(folder: Path, name: str, value: int, *, of: str = "package-0") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "name").write_text(f"{of}\n")
    (folder / name / "max_energy_range_uj").write_text("10000000\n")
    (folder / name / "energy_uj").write_text(f"{value}\n")


def test_energy__is_that_of_all_processors_and_goes_over_the_end_of_a_counter(tmp_path: Path) -> None:
    for name, value in (("intel-rapl:0", 9_000_000), ("intel-rapl:1", 0), ("intel-rapl:0:0", 0)):
        counter(tmp_path, name, value)
    counter(tmp_path, "intel-rapl:2", 0, of="psys")
    with EnergyMeter(powercap=tmp_path) as meter:
        counter(tmp_path, "intel-rapl:2", 9_000_000, of="psys")
        for name, value in (("intel-rapl:0", 1_000_000), ("intel-rapl:1", 500_000), ("intel-rapl:0:0", 7)):
            counter(tmp_path, name, value)
        assert meter.joules == pytest.approx(2.5)
        (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
        assert meter.joules is None


def test_energy__is_absent_where_the_machine_does_not_tell(tmp_path: Path) -> None:
    with EnergyMeter(powercap=tmp_path) as meter:
        assert meter.joules is None

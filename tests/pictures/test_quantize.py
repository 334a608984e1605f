"""Pictures in few colors: each pixel is the nearest one, and odd files end in a sentence."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cli.run_here import run_here

Image = pytest.importorskip("PIL.Image")

from centroids.pictures import quantize, read_picture  # noqa: E402

RANDOM = np.random.default_rng(3)
PLACES = np.array([[200, 30, 40], [20, 180, 60], [30, 40, 220], [240, 240, 230]])
PIXELS = np.clip(
    PLACES[RANDOM.integers(4, size=(24, 30))] + RANDOM.integers(-9, 10, (24, 30, 3)), 0, 255
).astype(np.uint8)


def rgb(picture: Any) -> NDArray[Any]:
    return np.asarray(picture.convert("RGB"), np.int64)


def opened(path: Path) -> Any:
    with Image.open(path) as picture:
        picture.load()
        return picture


def write(folder: Path, name: str, pixels: NDArray[Any] = PIXELS, **options: Any) -> None:
    Image.fromarray(pixels).save(folder / name, **options)


def test_colors_are_the_means_and_pixels_get_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "p.png")
    told = run_here(tmp_path, "quantize", "p.png", "-k", "4").stdout
    found = opened(tmp_path / "p-4.png")
    assert (found.mode, found.size) == ("P", (30, 24))
    colors = np.unique(rgb(found).reshape(-1, 3), axis=0)
    nearest = np.square(PIXELS[:, :, None] - PLACES).sum(axis=3).argmin(axis=2)
    means = np.rint([PIXELS[nearest == c].mean(axis=0) for c in range(4)])
    np.testing.assert_array_equal(colors, means[np.lexsort(means.T[::-1])])
    away = np.square(PIXELS[:, :, None] - colors).sum(axis=3)
    np.testing.assert_array_equal(rgb(found), colors[away.argmin(axis=2)])
    error = np.square(rgb(found) - PIXELS).sum(axis=2).mean()
    assert "Wrote p-4.png: 30 x 24 pixels in 4 colors" in told
    assert float(told.split("pixel: ")[1]) == pytest.approx(error, rel=1e-4)


def test_it_is_the_clustering_of_all_pixels() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    pixels = RANDOM.integers(0, 40, (40, 40, 3)).astype(np.uint8)
    found = rgb(quantize(Image.fromarray(pixels), 5))
    expected = cluster.KMeans(5, n_init=10, random_state=0).fit(pixels.reshape(-1, 3).astype(float))
    inertia = np.square(found - pixels).sum()
    assert inertia <= expected.inertia_ * 1.02


def test_equal_seeds_give_equal_files_and_json_says_the_same(tmp_path: Path) -> None:
    write(tmp_path, "p.png")
    told = json.loads(run_here(tmp_path, "quantize", "p.png", "-k", "3", "--json").stdout)
    run_here(tmp_path, "quantize", "p.png", "-k", "3", "-o", "again.png")
    first = (tmp_path / "p-3.png").read_bytes()
    assert first == (tmp_path / "again.png").read_bytes()
    assert (told["output"], told["bytes"], told["num_colors"]) == ("p-3.png", len(first), 3)


def test_dithering_mixes_colors_of_a_palette() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (64, 1, 3))
    picture = Image.fromarray(ramp)
    plain, mixed = quantize(picture, 2), quantize(picture, 2, dither=True)
    assert len(np.unique(rgb(plain).reshape(-1, 3), axis=0)) == 2
    assert set(np.unique(rgb(mixed))) == set(np.unique(rgb(plain)))

    def blurred(found: Any) -> NDArray[Any]:
        return rgb(found)[:, :, 0].reshape(4, 16, 16, 16).mean(axis=(1, 3))

    inner = slice(4, 12)  # between the two colors
    off = np.abs(blurred(plain) - blurred(picture))[:, inner].mean()
    assert np.abs(blurred(mixed) - blurred(picture))[:, inner].mean() < off / 5


def test_more_colors_than_a_palette_has(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    write(tmp_path, "p.png", pixels)
    run_here(tmp_path, "quantize", "p.png", "-k", "300")
    found = opened(tmp_path / "p-300.png")
    assert found.mode == "RGB"
    assert len(np.unique(rgb(found).reshape(-1, 3), axis=0)) <= 300
    told = run_here(tmp_path, "quantize", "p.png", "-k", "300", "--dither", code=2).stderr
    assert "--dither is for up to 256 colors, but --num-clusters is 300" in told


def with_alpha(alpha: NDArray[Any]) -> NDArray[Any]:
    return np.dstack([PIXELS, alpha.astype(np.uint8)])


@pytest.mark.parametrize("name", ["p.png", "p.webp"])
@pytest.mark.parametrize("dither", ["--dither", "--no-dither"])
def test_invisible_pixels_stay_so_and_do_not_count(tmp_path: Path, name: str, dither: str) -> None:
    alpha = np.where(np.arange(30) < 10, 0, 255) * np.ones((24, 1))
    pixels = with_alpha(alpha)
    pixels[:, :10, :3] = [255, 0, 255]
    write(tmp_path, "p.png", pixels)
    run_here(tmp_path, "quantize", "p.png", "-k", "4", dither, "-o", f"out-{name}")
    found = opened(tmp_path / f"out-{name}")
    assert found.mode == ("P" if name == "p.png" else "RGBA")
    back = np.asarray(found.convert("RGBA"))
    np.testing.assert_array_equal(back[:, :, 3], alpha)
    colors = np.unique(back[:, 10:, :3].reshape(-1, 3), axis=0)
    assert len(colors) == 4
    assert np.square(colors.astype(int) - [255, 0, 255]).sum(axis=1).min() > 10_000


def test_partial_transparency_stays_as_it_is(tmp_path: Path) -> None:
    alpha = RANDOM.integers(1, 256, (24, 30))
    write(tmp_path, "p.png", with_alpha(alpha))
    run_here(tmp_path, "quantize", "p.png", "-k", "4")
    found = np.asarray(opened(tmp_path / "p-4.png"))
    np.testing.assert_array_equal(found[:, :, 3], alpha)
    assert len(np.unique(found[:, :, :3].reshape(-1, 3), axis=0)) == 4


def test_a_picture_that_cannot_be_seen_has_no_colors(tmp_path: Path) -> None:
    write(tmp_path, "p.png", with_alpha(np.zeros((24, 30))))
    told = run_here(tmp_path, "quantize", "p.png", "-k", "1", code=2).stderr
    assert "p.png: --num-clusters must be at most 0" in told


def test_kinds_of_pixels_are_read_as_colors(tmp_path: Path) -> None:
    grey = RANDOM.integers(0, 256, (24, 30)).astype(np.uint8)
    write(tmp_path, "grey.png", grey)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "grey.png"), np.repeat(grey[:, :, None], 3, axis=2)
    )
    few = quantize(read_picture(tmp_path / "grey.png"), 3)
    assert (np.ptp(rgb(few), axis=2) == 0).all()
    write(tmp_path, "deep.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "deep.png"), read_picture(tmp_path / "grey.png")
    )
    Image.fromarray(grey > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(rgb(read_picture(tmp_path / "bits.png"))[:, :, 0] > 0, grey > 99)
    few = Image.fromarray(PIXELS).quantize(8)
    few.save(tmp_path / "palette.gif")
    np.testing.assert_array_equal(rgb(read_picture(tmp_path / "palette.gif")), rgb(few))
    ink = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    ink.save(tmp_path / "ink.jpg")
    assert rgb(read_picture(tmp_path / "ink.jpg"))[0, 0].tolist() == pytest.approx(
        [255, 0, 0], abs=4
    )
    Image.fromarray(grey).convert("LA").save(tmp_path / "la.png")
    assert read_picture(tmp_path / "la.png").mode == "RGBA"


def test_a_photograph_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right
    write(tmp_path, "p.png", exif=exif)
    turned = read_picture(tmp_path / "p.png")
    np.testing.assert_array_equal(np.asarray(turned), np.rot90(PIXELS, -1))
    run_here(tmp_path, "quantize", "p.png", "-k", "4")
    found = opened(tmp_path / "p-4.png")
    assert found.size == (24, 30)
    assert 0x0112 not in found.getexif()


def test_the_profile_of_colors_stays_and_that_of_ink_goes(tmp_path: Path) -> None:
    write(tmp_path, "p.jpg", icc_profile=b"a profile")
    run_here(tmp_path, "quantize", "p.jpg", "-k", "2")
    assert opened(tmp_path / "p-2.png").info["icc_profile"] == b"a profile"
    Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "ink.jpg", icc_profile=b"a profile")
    run_here(tmp_path, "quantize", "ink.jpg", "-k", "2")
    assert "icc_profile" not in opened(tmp_path / "ink-2.png").info


def refused(folder: Path, *words: str) -> str:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = run_here(folder, "quantize", *words, code=2).stderr
    assert len(told.splitlines()) == 1 and told.startswith("centroids: ")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.png"], "none.png: No such file or directory"),
        (["folder"], "folder is a folder: a picture is needed"),
        (["text.png"], "text.png is not a picture of a known kind"),
        (["empty.png"], "empty.png is not a picture of a known kind"),
        (["cut.png"], "cut.png is a damaged picture"),
        (["cut.jpg"], "cut.jpg is a damaged picture"),
        (["moving.gif"], "moving.gif has 3 frames: use a picture that is not animated"),
        (["float.tif"], "float.tif has floating-point pixels"),
        (["bomb.png"], "bomb.png has too many pixels"),
        (["p.png", "-o", "p.jpg"], "--output must be a .png or .webp file"),
        (["p.png", "-o", "p.png"], "--output p.png is the picture itself"),
        (["p.png", "-o", "none/p.png"], "--output none/p.png: there is no folder none"),
        (["p.png", "-o", "folder.png"], "--output folder.png: is a folder"),
        (["two.png", "-k", "3"], "two.png: --num-clusters must be at most 2, as many as there are"),
    ],
)
def test_bad_input_ends_in_one_line_and_no_file(
    tmp_path: Path, words: list[str], told: str
) -> None:
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    for name in ("p.png", "p.jpg"):
        write(tmp_path, name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name.replace("p.", "cut.")).write_bytes(data[: len(data) // 2])
    (tmp_path / "p.jpg").unlink()
    frames = [Image.fromarray(np.roll(PIXELS, turn)) for turn in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    huge = (tmp_path / "p.png").read_bytes()
    head = huge[12:16] + struct.pack(">II", 60_000, 60_000) + huge[24:29]
    whole = huge[:12] + head + struct.pack(">I", zlib.crc32(head)) + huge[33:]
    (tmp_path / "bomb.png").write_bytes(whole)
    write(tmp_path, "two.png", np.tile(np.array([[0], [9]], np.uint8), (2, 4)))
    assert told in refused(tmp_path, *words)


def test_a_failure_to_write_leaves_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "p.png")
    (tmp_path / "out.png").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("centroids.files.put_in_place", full)
    told = run_here(tmp_path, "quantize", "p.png", "-k", "2", "-o", "out.png", code=1).stderr
    assert told == "centroids: --output out.png: No space left on device\n"
    assert (tmp_path / "out.png").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "p.png"]
    monkeypatch.setattr("centroids.files.put_in_place", lambda *_: exec("raise KeyboardInterrupt"))
    assert run_here(tmp_path, "quantize", "p.png", "-k", "2", code=130).stderr.endswith(
        "Stopped.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "p.png"]


def test_the_library_names_its_arguments() -> None:
    with pytest.raises(ValueError, match="num_colors must be an integer of at least 1; got 0"):
        quantize(Image.fromarray(PIXELS), 0)
    with pytest.raises(ValueError, match="mode RGB or RGBA, got CMYK"):
        quantize(Image.new("CMYK", (2, 2)), 1)


def test_a_level_of_16_bits_that_is_transparent_stays_so(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)  # 16 bits of grey
    rows = zlib.compress(b"\0" + struct.pack(">2H", 300, 65535))
    parts = [(b"IHDR", head), (b"tRNS", struct.pack(">H", 300)), (b"IDAT", rows), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    (tmp_path / "grey.png").write_bytes(content)
    picture = read_picture(tmp_path / "grey.png")
    assert picture.mode == "RGBA"
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(1, 1, 1, 0), (255, 255, 255, 255)]

"""A scale of seven tones by a voice. See docs/gallery/sound.md.

Needs the dependency group `gallery`, which brings the recording.

    python examples/sound.py data       # writes frames.csv
    python examples/sound.py picture    # draws sound.png from tones.npy, what `predict` wrote
"""

from __future__ import annotations

import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.signal import ShortTimeFFT

PITCHES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def spectra() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns frequencies, times, and how loud each frequency (row) is at each time (column)."""
    package = find_spec("audioflux")  # not imported: it is only the recording that is needed
    if package is None or package.origin is None:
        sys.exit("The recording is not installed: pip install --group demo")
    path = Path(package.origin).parent / "utils" / "sample_data" / "voice.wav"
    with wave.open(str(path)) as recording:
        rate = recording.getframerate()
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
    transform = ShortTimeFFT(np.hanning(4096), hop=512, fs=rate, scale_to="magnitude")
    loudness = np.abs(transform.stft(samples.astype(np.float64)))
    return transform.f, transform.t(len(samples)), loudness


def write_data() -> None:
    """Writes for every 16 ms how loud the twelve pitches are, in decibels and in all octaves."""
    frequencies, times, loudness = spectra()
    heard = (frequencies > 60) & (frequencies < 2000)
    pitch = np.rint(12 * np.log2(frequencies[heard] / 440) + 9).astype(int) % 12
    pitches = [loudness[heard][pitch == number].sum(axis=0) for number in range(12)]
    decibels = 20 * np.log10(np.array(pitches) + 100)  # what is quieter than 100 counts as silence
    heads = ",".join(["seconds", *PITCHES])
    np.savetxt("frames.csv", np.vstack([times, decibels]).T, "%.3f", ",", header=heads, comments="")


def draw() -> None:
    """Draws the spectra, and below them the tone of each moment."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    frequencies, times, loudness = spectra()
    table = np.loadtxt("frames.csv", delimiter=",", skiprows=1)[:, 1:]
    tones = np.load("tones.npy")
    means = np.array([table[tones == tone].mean(axis=0) for tone in range(tones.max() + 1)])
    silence = means.max(axis=1).argmin()
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[5, 1])
    shown = frequencies < 1600
    decibels = 20 * np.log10(loudness[shown] + 1)
    upper.pcolormesh(times, frequencies[shown], decibels, cmap="magma", rasterized=True)
    upper.set_ylabel("frequency (Hz)", fontsize=15)
    upper.tick_params(labelsize=15)
    ends = np.flatnonzero(np.diff(tones)) + 1
    for first, end in zip([0, *ends], [*ends, len(tones)], strict=True):
        if tones[first] == silence:
            continue
        pitch = means[tones[first]].argmax()
        span = times[first], times[end - 1] + times[1] - times[0]
        color = colormaps["twilight_shifted"](pitch / 12 * 0.8 + 0.1)
        lower.axvspan(*span, color=color)
        if end - first > 10:
            style = {"ha": "center", "va": "center", "weight": "bold", "size": 15}
            style["color"] = "black" if sum(color[:3]) > 1.5 else "white"
            lower.text(sum(span) / 2, 0.5, PITCHES[pitch], **style)
    lower.set(yticks=[], xlim=(0, times[-1]))
    lower.set_xlabel("seconds", fontsize=15)
    lower.tick_params(labelsize=15)
    figure.savefig("sound.png", dpi=90)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()

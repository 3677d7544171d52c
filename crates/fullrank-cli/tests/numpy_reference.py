"""The figures of `fullrank inspect`, computed by numpy in float64 and by other ways where there are any.

    python3 numpy_reference.py EMBEDDINGS.npy [LABELS.npy] > reference.json
"""

import json
import sys

import numpy as np


def entropy_rank(shares):
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def hypergeometric(a, b, c, x, terms=20_000):
    """Gauss's 2F1(a, b; c; x)."""
    k = np.arange(terms)
    ratios = (a + k) * (b + k) / ((c + k) * (1 + k)) * x
    return float(1 + np.sum(np.cumprod(ratios)))


def ratio(r, m):
    return 0.0 if r == 1 else (r - 1 + 0.7 * r / m) / m


def random_mean_singular_value(b, d):
    r, m = min(b, d), max(b, d)
    # The mean of sqrt(x) over the Marchenko-Pastur law.
    return np.sqrt(b / r) * hypergeometric(0.5, -0.5, 2, ratio(r, m))


def random_effective_rank(b, d):
    if b == 1:
        return 0.0
    r, m = min(b - 1, d), max(b - 1, d)
    if r == 1:
        return 1.0
    y = r / m
    # With E x^k = 2F1(1 - k, -k; 2; y), the mean of sqrt(x) log(x) is a derivative in k.
    moment = lambda k: hypergeometric(1 - k, -k, 2, y)
    h = 1e-4
    derivative = (moment(0.5 + h) - moment(0.5 - h)) / (2 * h)
    mean = moment(0.5)
    few = (0.12 + 0.13 * y - (0.16 + 0.35 * y) / r) / m
    return float(r * mean * np.exp(-0.5 * derivative / mean - few))


def dead_about_mean(std):
    others = std
    if len(std) > 2 and std.max() ** 2 > 0.5 * np.sum(std**2):
        others = np.delete(std, std.argmax())
    return int(np.sum(std <= 0.01 * np.sqrt(np.mean(others**2))))


def spectral_entropy(c, r):
    squares = c[:r] ** 2
    if squares.sum() == 0:
        return 0.0
    shares = squares[squares > 0] / squares.sum()
    return 1.0 if r == 1 else float(-np.sum(shares * np.log(shares)) / np.log(r))


def figures(e, labels):
    b, d = e.shape
    r = min(b, d)
    norms = np.linalg.norm(e, axis=1, keepdims=True)
    unit = np.divide(e, norms, out=np.zeros_like(e), where=norms > 0)
    centred = e - e.mean(axis=0)
    s = np.linalg.svd(e, compute_uv=False)
    u = np.linalg.svd(unit, compute_uv=False)
    c = np.linalg.svd(centred, compute_uv=False)
    lower, upper = np.sqrt(b) / r, np.sqrt(b / r)
    mean = u.mean()
    shares = s / s.sum() + 1e-7
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(e, rowvar=False).reshape(d, d)))[::-1]
    std = e.std(axis=0, ddof=1)
    std[std <= 1e-12 * np.sqrt((e**2).mean(axis=0))] = 0
    dead = int(np.sum(std <= 0.01 * np.sqrt((e**2).mean())))
    varying = std > 0
    result = {
        "rows": b,
        "dims": d,
        "zero_rows": int(np.sum(norms == 0)),
        "mean_singular_value": mean,
        "lower_bound": lower,
        "upper_bound": upper,
        "utilization": 1.0 if r == 1 else (mean - lower) / (upper - lower),
        "random_reference": random_mean_singular_value(b, d),
        "random_effective_rank": random_effective_rank(b, d),
        "rankme": float(np.exp(-np.sum(shares * np.log(shares)))),
        "effective_rank": entropy_rank(c / c.sum()),
        "spectral_entropy": spectral_entropy(c, min(b - 1, d)),
        "participation_ratio": eigenvalues.sum() ** 2 / np.sum(eigenvalues**2),
        "numerical_rank": int(np.linalg.matrix_rank(e)),
        "condition_number": np.linalg.cond(e) if np.linalg.matrix_rank(e) == r else None,
        "dead_dimensions": dead,
        "dead_about_mean": dead_about_mean(std),
        "dimension_std": std,
        "dimension_mean": e.mean(axis=0),
        "mean_std": std.mean(),
        "unit_row_std": unit.std(axis=0, ddof=1).mean(),
        "isotropic_std": 1 / np.sqrt(d),
        "singular_values": s,
        "unit_singular_values": u,
        "centred_singular_values": c,
    }

    result["mean_abs_correlation"] = None
    if varying.sum() > 1:
        correlation = np.corrcoef(e[:, varying], rowvar=False)
        pairs = np.triu_indices(varying.sum(), 1)
        result["mean_abs_correlation"] = np.abs(correlation[pairs]).mean()

    last = min(100, int(np.sum(c > c[0] * max(b, d) * np.finfo(float).eps)))
    result["alpha_req"] = None
    if last >= 9:
        i = np.arange(5, last + 1)
        # polyfit weighs the residuals, not their squares.
        slope, _ = np.polyfit(np.log(i), np.log(c[i - 1] ** 2 / (b - 1)), 1, w=np.sqrt(1 / i))
        result["alpha_req"] = -slope

    first, second = np.triu_indices(b, 1)
    result["mean_cosine"] = np.sum(unit[first] * unit[second], axis=1).mean()
    lengths = np.linalg.norm(e - e.mean(axis=0), axis=1, keepdims=True)
    about = (e - e.mean(axis=0)) / lengths
    result["mean_cosine_centred"] = np.sum(about[first] * about[second], axis=1).mean()
    _, firsts, inverse = np.unique(e, axis=0, return_index=True, return_inverse=True)
    firsts = firsts[inverse.ravel()]
    later = np.flatnonzero(firsts < np.arange(b))
    result["duplicate_rows"] = len(later)
    result["first_duplicate"] = [int(later[0]), int(firsts[later[0]])] if len(later) else None
    distances = np.sum((unit[first] - unit[second]) ** 2, axis=1)
    result["uniformity"] = np.log(np.mean(np.exp(-2 * distances)))
    result["uniformity_rows"] = b

    result.update(classes=None, alignment=None, lidar=None)
    if labels is not None:
        names = np.unique(labels)
        result["classes"] = len(names)
        result["alignment"] = distances[labels[first] == labels[second]].mean()
        means = np.array([e[labels == name].mean(axis=0) for name in names])
        within = e - means[np.searchsorted(names, labels)]
        s_w = within.T @ within / (b - len(names)) + 1e-4 * np.eye(d)
        values, vectors = np.linalg.eigh(s_w)
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        s_b = np.cov(means, rowvar=False).reshape(d, d)
        values = np.sort(np.linalg.eigvalsh(root @ s_b @ root))[::-1].clip(0)
        values = values[: min(len(names) - 1, d)]
        shares = values / values.sum() + 1e-7
        result["lidar"] = float(np.exp(-np.sum(shares * np.log(shares))))
    return result


def plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def main():
    e = np.load(sys.argv[1]).astype(np.float64)
    labels = np.load(sys.argv[2]) if len(sys.argv) > 2 else None
    print(json.dumps({name: plain(value) for name, value in figures(e, labels).items()}))


main()

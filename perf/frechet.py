"""How much faster the Fréchet distance of two 2048-d Gaussians is without a matrix root.

Prints ratios and relative differences: `python perf/frechet.py` (four minutes on one thread).
"""

import argparse
import warnings

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.linalg import sqrtm
from threadpoolctl import threadpool_limits
from timing import timed

from metrics.frechet import frechet_distance, gaussian_distance

FEATURES = 2048


def features(seed, n):
    """Correlated features whose variances decay, as those of a network do."""
    generator = np.random.default_rng(seed)
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(FEATURES, FEATURES)))[0]
    scale = np.linspace(1, 1 + 0.2 * seed, FEATURES) / np.sqrt(1 + np.arange(FEATURES))
    return generator.normal(size=(n, FEATURES)) * scale @ mixing + 0.01 * seed


def moments(x):
    """Mean and covariance."""
    return x.mean(0), np.cov(x.T)


def by_root(m, c, k, d):
    """The textbook formula."""
    return np.square(m - k).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real)


def report(name, ours, theirs):
    """One line: seconds, ratio and relative difference of two ways, (value, seconds) each."""
    (value, seconds), (other, others) = ours, theirs
    ratio, difference = others / seconds, abs(value - other) / other
    print(f"{name}: {seconds:.2f} s against {others:.2f} s, {ratio:.1f} times; relative difference {difference:.1e}")


def main():
    """Print ratios of times and relative differences, on one thread."""
    warnings.simplefilter("ignore")  # scipy's about singular matrices, which are the point of the last line
    with threadpool_limits(1):
        both = (*moments(features(0, 4096)), *moments(features(1, 4096)))
        ours, scipys = timed(lambda: gaussian_distance(*both)), timed(lambda: by_root(*both))
        report("from moments, scipy's sqrtm", ours, scipys)
        report("from moments, pytorch-fid", ours, timed(lambda: calculate_frechet_distance(*both)))
        x, y = features(0, 1000), features(1, 1000)
        ours = timed(lambda: frechet_distance(x, y, replicates=0).value)
        report("from 1000 images each, scipy's sqrtm", ours, timed(lambda: by_root(*moments(x), *moments(y))))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()

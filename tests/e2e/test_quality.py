"""wick bench --quality: exact against itself is zero, fast is near, figures and options hold together."""
import math

import pytest


def quality(wick, model, *args):
    return wick.json("bench", model, "--quality", *args)["quality"]


def test_exact_is_exact(wick, shell_model):
    q = quality(wick, shell_model, "-p", "64", "--precision", "exact")
    assert q["n_tokens"] == 63 and q["precision"] == "exact" and q["kv_type"] == "f32" and q["text"] == "own"
    assert q["kl_max"] == 0 and q["logprob_rms"] == 0 and q["same_top"] == 1 and q["perplexity"] == q["perplexity_exact"] >= 1


def test_precisions_in_order(wick, shell_model):
    fast, fine = (quality(wick, shell_model, "-p", "96", "--precision", p) for p in ("fast", "fine"))
    assert 0 <= fine["kl_mean"] < fast["kl_mean"] < 0.05
    for q in (fast, fine):
        assert q["kl_median"] <= q["kl_p99"] <= q["kl_max"] and 0.9 <= q["same_top"] <= 1
        assert q["perplexity_exact"] == fast["perplexity_exact"]  # the same text
        assert math.isclose(q["perplexity"], q["perplexity_exact"], rel_tol=0.1)


def test_a_file_in_windows(wick, shell_model, tmp_path):
    (tmp_path / "a.txt").write_text("find . -name '*.c' | xargs wc -l\n" * 20)
    q = quality(wick, shell_model, "-p", "100", "--ctx", "48", "--file", tmp_path / "a.txt", "--kv-type", "q8_0")
    assert q["n_tokens"] == 47 + 47 + 3 and q["kv_type"] == "q8_0" and q["text"].endswith("a.txt")
    text = wick.ok("bench", shell_model, "--quality", "-p", "32", "--file", tmp_path / "a.txt").stdout
    assert "perplexity" in text and "KL divergence" in text


@pytest.mark.parametrize("args,word", [(("--quality", "-p", "1"), "-p"), (("--quality", "-p", "8,16"), "-p"), (("--file", "x"), "--quality"),
                                       (("--quality", "--file", "/nonexistent/x"), "nonexistent")])
def test_bad_options(wick, shell_model, args, word):
    r = wick("bench", shell_model, *args)
    assert r.returncode != 0 and word in r.stderr and r.stderr.count("\n") == 1, r.stderr

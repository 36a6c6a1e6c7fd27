"""What a user would pick instead, measured in the same run: a plain PyTorch FLUX step (bf16, scaled_dot_product_attention), eager and
compiled, torch's attention and matrix product at the same shapes, and the DiCache probe op by op. Prints one JSON object.
Random weights; every block has its own, so that caches see what they would see."""
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

D, HEADS, IMAGE, TEXT, DOUBLE, SINGLE = 3072, 24, 4096, 512, 19, 38
DEVICE, TYPE = "cuda", torch.bfloat16


def weight(*shape):
    return torch.randn(*shape, device=DEVICE, dtype=TYPE) * shape[-1] ** -0.5


def stream():
    return dict(mod=weight(6 * D, D), qkv=weight(3 * D, D), proj=weight(D, D), up=weight(4 * D, D), down=weight(D, 4 * D),
                q=torch.ones(D // HEADS, device=DEVICE, dtype=TYPE), k=torch.ones(D // HEADS, device=DEVICE, dtype=TYPE))


def norm(x, shift, scale):
    return F.layer_norm(x, (D,), eps=1e-6) * (1 + scale) + shift


def heads(x, w):
    q, k, v = F.linear(x, w["qkv"]).view(1, x.shape[1], 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
    return F.rms_norm(q, (D // HEADS,), w["q"], 1e-6), F.rms_norm(k, (D // HEADS,), w["k"], 1e-6), v


def rotate(x, cos, sin):
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)


def attend(q, k, v, cos, sin):
    out = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
    return out.transpose(1, 2).flatten(2)


def double_block(img, txt, vec, wi, wt, cos, sin):
    mi, mt = F.linear(vec, wi["mod"])[:, None].chunk(6, -1), F.linear(vec, wt["mod"])[:, None].chunk(6, -1)
    qi, ki, vi = heads(norm(img, mi[0], mi[1]), wi)
    qt, kt, vt = heads(norm(txt, mt[0], mt[1]), wt)
    out = attend(torch.cat((qt, qi), 2), torch.cat((kt, ki), 2), torch.cat((vt, vi), 2), cos, sin)
    img = img + mi[2] * F.linear(out[:, TEXT:], wi["proj"])
    txt = txt + mt[2] * F.linear(out[:, :TEXT], wt["proj"])
    img = img + mi[5] * F.linear(F.gelu(F.linear(norm(img, mi[3], mi[4]), wi["up"]), approximate="tanh"), wi["down"])
    txt = txt + mt[5] * F.linear(F.gelu(F.linear(norm(txt, mt[3], mt[4]), wt["up"]), approximate="tanh"), wt["down"])
    return img, txt


def single_block(x, vec, w, cos, sin):
    m = F.linear(vec, w["mod"])[:, None].chunk(3, -1)
    h = norm(x, m[0], m[1])
    out = attend(*heads(h, w), cos, sin)
    mlp = F.gelu(F.linear(h, w["up"]), approximate="tanh")
    return x + m[2] * F.linear(torch.cat((out, mlp), -1), w["out"])


def step(img, txt, vec, doubles, singles, cos, sin):
    for wi, wt in doubles:
        img, txt = double_block(img, txt, vec, wi, wt, cos, sin)
    x = torch.cat((txt, img), 1)
    for w in singles:
        x = single_block(x, vec, w, cos, sin)
    return x[:, TEXT:]


def timed(action, rounds=5):
    action()
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        action()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def probe_op_by_op(p, previous, x, previous_x, r1, r2, newer, older):
    def relative(a, b):
        return (a - b).abs().mean() / b.abs().mean()

    kept, kept_x = p.clone(), x.clone()
    relative(x, previous_x)
    delta = relative(p, previous)
    gamma = (((p - x) - r2).abs().mean() / (r1 - r2).abs().mean()).clip(1, 1.5)
    return x.clone() + (older + gamma * (newer - older)), delta.item(), kept, kept_x


@torch.inference_mode()
def main():
    torch.manual_seed(0)
    length = IMAGE + TEXT
    doubles = [(stream(), stream()) for _ in range(DOUBLE)]
    singles = [dict(mod=weight(3 * D, D), qkv=weight(3 * D, D), up=weight(4 * D, D), out=weight(D, 5 * D),
                    q=torch.ones(D // HEADS, device=DEVICE, dtype=TYPE), k=torch.ones(D // HEADS, device=DEVICE, dtype=TYPE)) for _ in range(SINGLE)]
    img, txt, vec = weight(1, IMAGE, D), weight(1, TEXT, D), weight(1, D)
    angle = torch.randn(length, D // HEADS // 2, device=DEVICE)
    cos, sin = angle.cos(), angle.sin()
    result = dict(torch=torch.__version__, device=torch.cuda.get_device_name(), eager_step_ms=timed(lambda: step(img, txt, vec, doubles, singles, cos, sin)))
    for n in (4096, 4608, 8192, 16384):
        q = torch.randn(1, HEADS, n, D // HEADS, device=DEVICE, dtype=TYPE)
        ms = timed(lambda: F.scaled_dot_product_attention(q, q, q), 9)
        result[f"attention_{n}_tflops"] = 4 * n * n * D / ms / 1e9
    a, b = torch.randn(length, D, device=DEVICE, dtype=TYPE), torch.randn(4 * D, D, device=DEVICE, dtype=TYPE)
    result["matmul_tflops"] = 2 * length * D * 4 * D / timed(lambda: F.linear(a, b), 9) / 1e9
    maps = [torch.randn(1, IMAGE, D, device=DEVICE, dtype=TYPE) for _ in range(8)]
    result["probe_op_by_op_us"] = 1e3 * timed(lambda: probe_op_by_op(*maps), 21)
    try:
        compiled_double, compiled_single = torch.compile(double_block), torch.compile(single_block)

        def compiled():
            i, t = img, txt
            for wi, wt in doubles:
                i, t = compiled_double(i, t, vec, wi, wt, cos, sin)
            x = torch.cat((t, i), 1)
            for w in singles:
                x = compiled_single(x, vec, w, cos, sin)
            return x

        result["compiled_step_ms"] = timed(compiled)
    except Exception as e:  # a machine without a compiler for inductor
        result["compiled_step_ms"] = None
        result["compile_error"] = str(e).splitlines()[0]
        print(e, file=sys.stderr)
    json.dump(result, sys.stdout, indent=2)


main()

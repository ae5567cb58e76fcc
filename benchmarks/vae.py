"""Two auto-encoders of equal size on the pictures that both held out: how near are their reconstructions?

`python -m benchmarks.vae FLOWERS PIXELS FEATURES --vgg vgg16.safetensors --out sheets` prints one JSON object on two
models' files, and writes sheets with both models' reconstructions, draws and ways between two pictures. How long each
was trained is not measured here: `time` of its own command says.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from boxwright.draw import write_picture
from boxwright.perceptual.loss import FeatureDistance
from boxwright.perceptual.sheets import as_images, sheet, spaced
from boxwright.perceptual.squares import Squares, find_pictures, hold_back
from boxwright.perceptual.vae_coder import read_vae
from boxwright.perceptual.vae_latents import between, draw_latents, psnr
from boxwright.perceptual.vae_losses import importance_bound, kl_divergence, log_weights
from boxwright.weights.trunk import pretrained_trunk

SHOWN, WAYS, STEPS, CHUNK = 14, 4, 12, 25
SAMPLES = 32
"""Draws of the importance-weighted bound."""


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("pixels", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("--vgg", type=Path, required=True, help="VGG-16's weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--temperature", type=float, default=1.0)
    asked = parser.parse_args()

    models = {name: read_vae(getattr(asked, name)) for name in ("pixels", "features")}
    splits = {(card.settings["held"], card.settings["seed"]) for _, card in models.values()}
    [(held, seed)] = splits
    learned, test = hold_back(find_pictures(asked.images), held, seed)
    size = models["pixels"][0].settings.size
    pictures = Squares(test, size).middles()
    mean = np.broadcast_to(Squares(learned, size).middles().mean(0), pictures.shape).astype(np.float32)
    judges = {
        "vgg16 conv1-3": ("vgg16", ("conv1", "conv2", "conv3"), asked.vgg),
        "vgg16 conv1-5": ("vgg16", ("conv1", "conv2", "conv3", "conv4", "conv5"), asked.vgg),
        "efficientnet-lite0 stage1-3": ("efficientnet-lite0", ("stage1", "stage2", "stage3"), "auto"),
        "efficientnet-lite0 stage3,5,7": ("efficientnet-lite0", ("stage3", "stage5", "stage7"), "auto"),
    }
    distances = {name: FeatureDistance(pretrained_trunk(*judge)[0]) for name, judge in judges.items()}

    decoded = {"mean picture": mean}
    figures: dict[str, dict[str, float]] = {"mean picture": {}}
    rows, drawn = [("pictures", pictures)], draw_latents(2 * SHOWN, models["pixels"][0].settings.latent, 0)
    given = torch.from_numpy(pictures)
    for name, (net, _) in models.items():
        codes, log_variance = net.encode(given)
        decoded[name] = net.decode(codes).numpy()
        figures[name] = {
            "parameters": sum(p.numel() for p in net.parameters()),
            "kl": float(kl_divergence(codes, log_variance).sum(1).mean()),
        }
        rows.append((name, decoded[name]))
        if "pixels" in net.settings.terms:
            noise = torch.from_numpy(
                np.random.default_rng(0).standard_normal((SAMPLES, *codes.shape), np.float32)
            )
            weights = [
                log_weights(net, net.log_deviation("pixels"), some, drawn_of)
                for some, drawn_of in zip(given.split(CHUNK), noise.split(CHUNK, dim=1), strict=True)
            ]
            all_weights = torch.cat(weights, 1)
            figures[name]["elbo"] = float(all_weights.mean())
            figures[name][f"bound of {SAMPLES}"] = float(importance_bound(all_weights).mean())
        news = as_images(net.decode(asked.temperature * torch.from_numpy(drawn)).numpy())
        write_picture(asked.out / f"{name}-samples.png", sheet([("", news[:SHOWN]), ("", news[SHOWN:])]))
        ends = [codes[i].numpy() for i in spaced(len(codes), 2 * WAYS)]
        ways = [between(ends[i], ends[i + WAYS], STEPS) for i in range(WAYS)]
        strips = [as_images(net.decode(torch.from_numpy(way)).numpy()) for way in ways]
        write_picture(asked.out / f"{name}-ways.png", sheet([("", strip) for strip in strips]))

    for name, found in decoded.items():
        figures[name]["psnr"] = float(psnr(found, pictures).mean())
        for judge, distance in distances.items():
            pairs = zip(torch.from_numpy(found).split(CHUNK), given.split(CHUNK), strict=True)
            figures[name][judge] = float(torch.cat([distance(a, b) for a, b in pairs]).mean())
    nearer = {judge: 1 - figures["features"][judge] / figures["pixels"][judge] for judge in judges}
    shown = spaced(len(pictures), SHOWN)
    write_picture(asked.out / "reconstructions.png", sheet([(n, as_images(p[shown])) for n, p in rows]))
    print(json.dumps({"held out": len(test), "figures": figures, "nearer": nearer}, indent=1))


if __name__ == "__main__":
    main()

"""Small BigGANs of the package `pytorch-pretrained-biggan`, under random weights."""

import pytest
import torch

from methods.hybrid.biggan_deep import CONFIG, WEIGHTS

package = pytest.importorskip("pytorch_pretrained_biggan", reason="needs the extra biggan")

CLASSES, LATENT = 5, 8
LAYERS = [[False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4], [True, 4, 2], [False, 2, 1]]


def config(**changes):
    """A configuration like that of BigGAN-deep, but for its size."""
    settings = {
        "output_dim": 32,
        "z_dim": LATENT,
        "class_embed_dim": LATENT,
        "channel_width": 4,
        "num_classes": CLASSES,
        "layers": LAYERS,
        "attention_layer_position": 2,
        "eps": 1e-4,
        "n_stats": 51,
    }
    return package.BigGANConfig.from_dict(settings | changes)


def theirs(**changes):
    """The package's own model under random weights, statistics of batch norms included."""
    torch.manual_seed(0)
    model = package.BigGAN(config(**changes)).train()
    for name, value in model.state_dict().items():
        if "running_means" in name or name.endswith(("bias", "bn.weight", "gamma")):
            value.normal_()
        elif "running_vars" in name:
            value.uniform_(0.5, 2)
    with torch.no_grad():
        for _ in range(10):  # each lets the spectral norms come nearer to what they estimate
            model(*asked(classes=model.config.num_classes), 0.4)
    return model.eval()


def written(folder, model):
    """A folder in the package's layout."""
    (folder / CONFIG).write_text(model.config.to_json_string())
    torch.save(model.state_dict(), folder / WEIGHTS)
    return folder


def asked(count=3, classes=CLASSES):
    """Latents and classes as one-hot."""
    return torch.randn(count, LATENT), torch.nn.functional.one_hot(torch.arange(count) % classes, classes).float()

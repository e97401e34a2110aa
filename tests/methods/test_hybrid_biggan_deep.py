import json
import pickle

import pytest
import torch

from methods.hybrid.biggan_deep import CONFIG, WEIGHTS, DeepShape, load
from methods.hybrid.biggan_model import CONVOLUTIONS, INTERVENED, Blocks, State
from methods.hybrid.model import Pairs, generate
from tests.methods.biggans import LATENT, LAYERS, asked, config, theirs, written

package = pytest.importorskip("pytorch_pretrained_biggan", reason="needs the extra biggan")


@pytest.mark.parametrize("truncation", [0.4, 0.41, 1.0])
@pytest.mark.parametrize("position", [0, 2, 5])
@torch.no_grad()
def test_equal_to_the_package_block_by_block(tmp_path, truncation, position):
    """Each block makes the very features of the package's, and the image is the same, at any truncation."""
    model = theirs(attention_layer_position=position)
    ours = load(written(tmp_path, model), truncation)
    made = []
    for layer in model.generator.layers:
        layer.register_forward_hook(lambda module, _, out: made.append((type(module).__name__, out)))
    latents, classes = asked()
    image = model(latents, classes, truncation)
    codes = torch.cat([latents, classes], dim=1)
    blocks = [out for name, out in made if name == "GenBlock"]
    assert len(blocks) == len(LAYERS)
    state = State(ours.start(codes))
    for i, expected in enumerate(blocks):
        state = ours.run(state, codes, i * CONVOLUTIONS, (i + 1) * CONVOLUTIONS)
        torch.testing.assert_close(state.features, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    torch.testing.assert_close(ours(codes), (image + 1) / 2, rtol=1e-4, atol=1e-5)


def test_the_real_layout_is_read():
    """Blocks of BigGAN-deep-256 have the sizes and widths that the paper names."""
    layers = [(0, 16, 16), (1, 16, 16), (0, 16, 16), (1, 16, 8), (0, 8, 8), (1, 8, 8), (0, 8, 8), (1, 8, 4)]
    layers += [(0, 4, 4), (1, 4, 2), (0, 2, 2), (1, 2, 1)]
    text = json.dumps({**config(layers=layers, channel_width=128).to_dict(), "attention_layer_position": 8})
    blocks = list(DeepShape.model_validate_json(text).blocks())
    assert len(blocks) == 12
    assert [block.size[0] for block in blocks] == [4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256]
    assert blocks[0].channels_in == 2048
    assert blocks[-1].channels_out == 128
    assert [block.attends for block in blocks].index(True) == 8


@torch.no_grad()
def test_hybrids_of_a_pretrained_generator(tmp_path):
    """Swapping all of a block's outputs with a donor of the unit's own latent and class changes nothing."""
    generator = Blocks(load(written(tmp_path, theirs()), 0.4), chosen=(2, 3), classes=(1, 4), truncation=0.4)
    own, other = generator.unlike(4)
    assert (own[:, LATENT:].argmax(1) != other[:, LATENT:].argmax(1)).all()
    assert own[:, :LATENT].abs().max() <= 0.8
    assert len(generator.layers) == 2 * len(INTERVENED)
    for layer, channels in generator.layers.items():
        same = Pairs.of(generator, [layer], own, own).hybrids([torch.ones(channels, dtype=torch.bool)])
        torch.testing.assert_close(same, generate(generator, own))


@pytest.mark.parametrize("broken", ["config", "weights", "pickled", "another", "missing"])
def test_broken_folders_are_refused(tmp_path, broken):
    """A missing or broken file is refused in one line that names it, and no code in it is run."""
    folder = written(tmp_path, theirs())
    if broken == "config":
        (folder / CONFIG).write_text("{}")
    elif broken == "weights":
        (folder / WEIGHTS).write_bytes(b"no weights")
    elif broken == "pickled":
        (folder / WEIGHTS).write_bytes(pickle.dumps(print))
    elif broken == "another":
        torch.save(theirs(channel_width=8).state_dict(), folder / WEIGHTS)
    else:
        (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match=CONFIG if broken == "config" else WEIGHTS) as refused:
        load(folder, 0.4)
    assert "\n" not in str(refused.value)

"""The registry: every kind of layer by its name. A layer's file has its equation, its forward and its backward."""

from numasync.nn.layers.concat import CONCAT
from numasync.nn.layers.conv import CONV
from numasync.nn.layers.dense import DENSE, HEADS
from numasync.nn.layers.kind import LayerKind
from numasync.nn.layers.lstm import LSTM
from numasync.nn.layers.normalize import NORMALIZE
from numasync.nn.layers.relu import RELU

KINDS: dict[str, LayerKind] = {
    "dense": DENSE,
    "heads": HEADS,
    "relu": RELU,
    "conv": CONV,
    "lstm": LSTM,
    "concat": CONCAT,
    "normalize": NORMALIZE,
}

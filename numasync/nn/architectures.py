"""The named architectures: the hidden layers that `--network NAME` stands for. The heads follow from the algorithm."""

from numasync.nn.spec import Layer, conv, dense, lstm, relu

# Units of the LSTM behind the hidden layers of the same name.
LSTM_UNITS = {"mlp": 128, "minatar": 128, "nips": 256, "nature": 256}

ARCHITECTURES: dict[str, tuple[Layer, ...]] = {
    "mlp": (dense(128), relu()),
    "minatar": (conv(16, 3), relu(), dense(128), relu()),
    "nips": (conv(16, 8, 4), relu(), conv(32, 4, 2), relu(), dense(256), relu()),
    "nature": (conv(32, 8, 4), relu(), conv(64, 4, 2), relu(), conv(64, 3, 1), relu(), dense(512), relu()),
}
# Section 5.1: 256 LSTM cells after the last hidden layer. Fewer where that layer is small.
ARCHITECTURES.update({f"{name}_lstm": (*ARCHITECTURES[name], lstm(units)) for name, units in LSTM_UNITS.items()})

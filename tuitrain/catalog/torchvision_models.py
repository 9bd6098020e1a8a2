"""The classifiers of torchvision by name, without its weights.

The names are those of `torchvision.models.list_models(module=torchvision.models)`, written out so
that a list of models does not import torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tuitrain.catalog.model_entry import ModelEntry


class Family(NamedTuple):
    """Models of one kind, which take the same images."""

    summary: str
    names: str
    least_size: int = 1
    multiple_of: int = 1
    least_batch: int = 2

    @property
    def entries(self) -> Iterator[ModelEntry]:
        """The models, in the order of their names."""
        for name in self.names.split():
            yield ModelEntry(
                name,
                "tuitrain.engine.models:torchvision_model",
                self.summary,
                needs_images=True,
                fixed={"name": name},
                least_size=self.least_size,
                multiple_of=self.multiple_of,
                least_batch=self.least_batch,
            )


FAMILIES = (
    Family(
        "Residual network (K. He et al., 2015)", "resnet18 resnet34 resnet50 resnet101 resnet152"
    ),
    Family(
        "Residual network of grouped convolutions (S. Xie et al., 2016)",
        "resnext50_32x4d resnext101_32x8d resnext101_64x4d",
    ),
    Family(
        "Residual network of more channels (S. Zagoruyko, N. Komodakis, 2016)",
        "wide_resnet50_2 wide_resnet101_2",
    ),
    Family(
        "Network whose layers see all layers before (G. Huang et al., 2016)",
        "densenet121 densenet161 densenet169 densenet201",
        least_size=29,
    ),
    Family(
        "Small network for phones, by separable convolutions (M. Sandler et al., 2018)",
        "mobilenet_v2",
    ),
    Family(
        "Small network for phones, found by search (A. Howard et al., 2019)",
        "mobilenet_v3_small mobilenet_v3_large",
    ),
    Family(
        "Small network for phones, found by search (M. Tan et al., 2018)",
        "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3",
    ),
    Family(
        "Small network that shuffles its channels (N. Ma et al., 2018)",
        "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    ),
    Family(
        "Network scaled in depth, width and image size together (M. Tan, Q. Le, 2019)",
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 "
        "efficientnet_b5 efficientnet_b6 efficientnet_b7",
    ),
    Family(
        "EfficientNet made faster to train (M. Tan, Q. Le, 2021)",
        "efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l",
    ),
    Family(
        "Simple network of regular stages (I. Radosavovic et al., 2020)",
        "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf "
        "regnet_x_32gf regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf "
        "regnet_y_16gf regnet_y_32gf regnet_y_128gf",
    ),
    Family(
        "Convolutions in the manner of a transformer (Z. Liu et al., 2022)",
        "convnext_tiny convnext_small convnext_base convnext_large",
        least_size=32, least_batch=1,
    ),
    Family(
        "Vision transformer (A. Dosovitskiy et al., 2020), in patches of 16 pixels",
        "vit_b_16 vit_l_16", multiple_of=16, least_batch=1,
    ),
    Family(
        "Vision transformer (A. Dosovitskiy et al., 2020), in patches of 32 pixels",
        "vit_b_32 vit_l_32", multiple_of=32, least_batch=1,
    ),
    Family(
        "Vision transformer (A. Dosovitskiy et al., 2020), in patches of 14 pixels",
        "vit_h_14", multiple_of=14, least_batch=1,
    ),
    Family(
        "Transformer with windows that shift (Z. Liu et al., 2021)",
        "swin_t swin_s swin_b", least_size=4, least_batch=1,
    ),
    Family(
        "Transformer with windows that shift, of larger models (Z. Liu et al., 2022)",
        "swin_v2_t swin_v2_s swin_v2_b", least_size=4, least_batch=1,
    ),
    Family("Transformer with windows and grids (Z. Tu et al., 2022)", "maxvit_t", multiple_of=224),
    Family(
        "Deep network of 3x3 convolutions (K. Simonyan, A. Zisserman, 2014)",
        "vgg11 vgg13 vgg16 vgg19", least_size=32, least_batch=1,
    ),
    Family(
        "Deep network of 3x3 convolutions with batch norm",
        "vgg11_bn vgg13_bn vgg16_bn vgg19_bn", least_size=32,
    ),
    Family(
        "The network that began it (A. Krizhevsky et al., 2012), in its form of 2014",
        "alexnet", least_size=63, least_batch=1,
    ),
    Family(
        "Network of few weights (F. Iandola et al., 2016)",
        "squeezenet1_0", least_size=21, least_batch=1,
    ),
    Family(
        "Network of few weights, and faster (F. Iandola et al., 2016)",
        "squeezenet1_1", least_size=17, least_batch=1,
    ),
    Family("Convolutions of several sizes (C. Szegedy et al., 2014)", "googlenet", least_size=15),
    Family("GoogLeNet improved (C. Szegedy et al., 2015)", "inception_v3", least_size=75),
)  # fmt: skip

TORCHVISION: Mapping[str, ModelEntry] = {
    entry.name: entry for family in FAMILIES for entry in family.entries
}

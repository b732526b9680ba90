"""The SHA-256 of published weights, by our name; several where a file was published again under its name.

Those of ultralytics are the files of its releases of assets, those of torchvision of download.pytorch.org, whose
addresses hold the first eight digits. What is not listed is not fetched, unless its hash is stated with its name.
"""

from __future__ import annotations

SHA256: dict[str, tuple[str, ...]] = {
    "convnext_tiny": ("983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d",),
    "efficientnet_b0": ("7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",),
    "fasterrcnn_mobilenet_v3_large_320_fpn": ("907ea3f91ff92242bc1baea8049276a3e76bca48ce7560bd268cc029f37977b5",),
    "fasterrcnn_mobilenet_v3_large_fpn": ("fb6a3cc702b1df54c18a44b26708cd083614211062d0c36d2ca7bf9270df3533",),
    "fasterrcnn_resnet50_fpn": ("258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",),
    "fasterrcnn_resnet50_fpn_v2": ("dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf",),
    "fcos_resnet50_fpn": ("99b0c9b7cfb1527d782db86b91d207f00547c792fb4103fc612b651d0a07b9e7",),
    "mobilenet_v2": ("7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f",),
    "mobilenet_v3_large": ("5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997",),
    "mobilenet_v3_small": ("047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f",),
    "resnet101": ("cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e",),
    "resnet18": ("f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",),
    "resnet34": ("b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",),
    "resnet50": ("11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",),
    "retinanet_resnet50_fpn": ("eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",),
    "retinanet_resnet50_fpn_v2": ("5905b1c544219215e544dbe319720397bc4e68de61a733a59350d7976645b769",),
    "ssdlite320_mobilenet_v3_large": ("a79551df90c79834bcd3bb3845ef9d966b5449a3a9b2833ae8404778ca5d65d2",),
    "swin_t": ("704ceda373461b0a224fcdddd75cd2a5e9f8064512ed47adbddef7f343fd147b",),
    "vgg16": ("397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",),
    "yolo11l": ("9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f",),
    "yolo11m": ("d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",),
    "yolo11n": ("0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",),
    "yolo11s": ("85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",),
    "yolo11x": ("7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",),
    "yolo12l": ("0babd8dc8f775bb64bb052debdff3d8b9e9b57efa9d7bfa11c84bb82c3fec336",),
    "yolo12m": ("4c6d179786eddf6134ee469ae2f4ce04cbe4e9d1a47d6b669d9cd6b9c6c513d8",),
    "yolo12n": ("419ff3dca37d69bacc93a50fa0c186a1c6f9fe62fae0f108b0872829689e9ca6",),
    "yolo12s": ("e915c2c4286e3f6f8610ef106fa3f94a7b8c19b30eccede5887e22c33ef75f58",),
    "yolo12x": ("682ce8dadee004dbe964950f1bf3eda451671815a6ed62db80b398916b9b7c6f",),
    "yolo26l": ("9fe3c544f2b19bebad7ea41e76d7ad3d88b7c2f10d11d24430c5311f6b32db26",),
    "yolo26m": ("401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7",),
    "yolo26n": ("9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",),
    "yolo26s": ("646f8bc3fe0a656803d95c294f7852321748cb29d13466a1af8862e2db384a1b",),
    "yolo26x": ("9fdd44a31c504547ffb81d2c6d9e6dac3493c8eaa8b0398d3f43bae6c7003e92",),
    "yolov8l": ("64c9115303f6a25575f82200d1b22ec409fa6bd7d08d0313884fc20d919478cd",),
    "yolov8m": ("5d4a90cdc7a21786cc59cd19778e9eafff836df9e2da32524737c7ee6efe4fe5",),
    "yolov8n": (
        "31e20dde3def09e2cf938c7be6fe23d9150bbbe503982af13345706515f2ef95",
        "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    ),
    "yolov8s": ("1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a",),
    "yolov8x": ("3df4ada6b4dad6d657868f2fdf7faecfb34dcfccf3a25c4b82079064718524c8",),
}

import pytest

from batchup.simulator.models import catalogue, openapi

PARAMETERS = [
    *("image", "scale_factor", "creativity", "resemblance", "dynamic", "num_inference_steps", "sharpen"),
    *("tiling_width", "tiling_height", "sd_model", "scheduler", "handfix", "output_format", "seed"),
    *("downscaling", "downscaling_resolution", "pattern", "prompt", "negative_prompt", "mask"),
    *("lora_links", "custom_sd_model"),
]

IMAGE = {"image": "https://example.com/a.jpg"}


def test_each_upscaler_has_all_its_parameters() -> None:
    """The main model's schema has every known parameter, wants the image alone and takes no other."""
    schema = catalogue()["each-upscaler"].request_schema
    assert list(schema["properties"]) == PARAMETERS
    assert (schema["required"], schema["additionalProperties"]) == (["image"], False)
    assert len(schema["properties"]["scheduler"]["enum"]) == 30
    assert len(schema["properties"]["tiling_width"]["enum"]) == 16


@pytest.mark.parametrize("slug", list(catalogue()))
def test_defaults_fit_their_own_schema(slug: str) -> None:
    """Every default is a value that the schema accepts."""
    model = catalogue()[slug]
    properties = model.request_schema["properties"]
    data = {name: part["default"] for name, part in properties.items() if "default" in part}
    data[model.simulated.image] = IMAGE["image"]
    assert model.problems(data) == []
    assert model.scale(data) > 0
    assert model.extension(data) in {"png", "jpg", "jpeg", "webp"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "image is required"),
        ({**IMAGE, "scale": 2}, "unknown field scale"),
        ({**IMAGE, "scale_factor": "2"}, "scale_factor must be of type number"),
        ({**IMAGE, "scale_factor": True}, "scale_factor must be of type number"),
        ({**IMAGE, "seed": 1.5}, "seed must be of type integer"),
        ({**IMAGE, "creativity": 1.1}, "creativity must be at most 1"),
        ({**IMAGE, "num_inference_steps": 0}, "num_inference_steps must be at least 1"),
        (
            {**IMAGE, "handfix": "feet"},
            "handfix must be one of ['disabled', 'hands_only', 'image_and_hands']",
        ),
        ({**IMAGE, "lora_links": ""}, "lora_links must not be empty"),
        ({"image": "photos/a.jpg"}, "image must be a URL"),
    ],
)
def test_what_does_not_fit_is_named(data: dict[str, object], problem: str) -> None:
    """An input outside the schema is refused with a sentence that names the field."""
    assert catalogue()["each-upscaler"].problems(data) == [problem]


def test_a_model_without_a_format_has_its_own() -> None:
    """Where a model has no parameter for the format, its own extension holds."""
    assert catalogue()["gfpgan"].extension({}) == "png"
    assert catalogue()["eachlabs-image-upscaler-pro-v1"].extension({"output_format": "JPG"}) == "jpg"


def test_the_openapi_document_holds_the_request_schema() -> None:
    """A model's OpenAPI document wraps the very schema that creates are checked against."""
    model = catalogue()["each-upscaler"]
    create = openapi(model)["paths"]["/v1/prediction"]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"] is model.request_schema

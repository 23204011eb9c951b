"""Make synthetic lumbar spine studies with exact truth, in the layout of a data set or as plain DICOM."""

from spinenet.system.progress import track
from spinenet.train.script import script
from spinephantom.write.collection import PhantomConfig, generate, missing_studies


@script("make_phantom", PhantomConfig)
def main(config: PhantomConfig) -> None:
    missing = len(missing_studies(config))
    print(f"{config.studies - missing} studies exist, {missing} to make in {config.out}")
    for _ in track(generate(config), "making studies", total=missing):
        pass
    print(f"{config.out}: {config.studies} studies; what is known of each lies in truth/")


if __name__ == "__main__":
    main()

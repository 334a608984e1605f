# The command line, with the points mounted (--user: what it writes belongs to you):
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" centroids train points.npy model
FROM python:3.13-slim AS wheel
# Any g++ of the image's Debian does:
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel /source

FROM python:3.13-slim
COPY --from=wheel /wheel /wheel
RUN pip install --no-cache-dir "$(echo /wheel/*.whl)[arrow]" && rm -rf /wheel
WORKDIR /data
ENTRYPOINT ["centroids"]

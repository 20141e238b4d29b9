# The static binary of make dist, CA certificates and an empty /tmp: make image lays them out
# in dist/root-ARCH, so nothing runs while the image is built, and any architecture is built on any other.
FROM scratch
ARG TARGETARCH
ARG VERSION
LABEL org.opencontainers.image.title="outflow" \
      org.opencontainers.image.description="finds data exfiltration in logs that you already have" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY dist/root-${TARGETARCH} /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/outflow"]

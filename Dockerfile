# The image of Bunshin: the program, the libraries it is linked with, and a user that is not root.
#
#	docker build -t bunshin .
#	docker run --read-only -v ./bunshin.yaml:/etc/bunshin/bunshin.yaml:ro bunshin
#
# docs/install.md says what to mount where.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
# By itself, so that a change of the sources does not install the compiler again.
COPY scripts/setup scripts/setup
RUN scripts/setup --build
COPY . .
RUN meson setup /build --prefix=/usr --buildtype=release -Db_pie=true \
		-Dc_link_args=-Wl,-z,relro,-z,now -Dtests=disabled -Dsystemd=enabled \
	&& DESTDIR=/out meson install -C /build --strip
# The packages that those libraries are in: their names are not the same in every release.
RUN objdump -p /out/usr/bin/bunshin | sed -n 's/^ *NEEDED *//p' \
	| xargs -I{} dpkg-query -S '*/{}' | sed 's/:.*//' | sort -u >/out/libraries

FROM ${BASE}
LABEL org.opencontainers.image.title="bunshin" \
	org.opencontainers.image.description="Delivers Amazon SQS messages as HTTP requests" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="0.1.0"
RUN --mount=type=bind,from=build,source=/out/libraries,target=/libraries \
	apt-get update -q \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		ca-certificates tzdata $(cat /libraries) \
	&& apt-get clean \
	&& rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/cache/ldconfig/* \
		/var/log/apt /var/log/dpkg.log /var/log/alternatives.log
# A number, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 bunshin \
	&& useradd --uid 10001 --gid bunshin --no-log-init --no-create-home \
		--home-dir /var/lib/bunshin --shell /usr/sbin/nologin bunshin \
	&& install -d -o bunshin -g bunshin -m 0700 /var/lib/bunshin /run/bunshin \
	&& install -d /etc/bunshin
COPY --from=build /out/usr/bin/bunshin /usr/bin/bunshin
COPY --from=build /out/usr/share/bunshin /usr/share/bunshin
COPY --from=build /out/etc/bunshin /etc/bunshin
COPY LICENSE /usr/share/doc/bunshin/LICENSE

USER 10001:10001
WORKDIR /var/lib/bunshin
# The ledger, and what `bunshin queue` keeps; a unix socket of the admin port. Volumes, so that both
# can be written to under a root that cannot.
VOLUME ["/var/lib/bunshin", "/run/bunshin"]
# The admin port. It is on the container's loopback unless admin.listen says 0.0.0.0:9797.
EXPOSE 9797
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["bunshin", "health"]
ENTRYPOINT ["bunshin"]
CMD ["run", "-c", "/etc/bunshin/bunshin.yaml"]

# syntax=docker/dockerfile:1
#
# evenkeel in a container: one static program, not root, and nothing else in it. The usual way is not this one but a
# systemd service (see README.md): what evenkeel watches lives outside of any container, so that the container has to be
# opened wide for it. Not built or run where it was written, since there is no container engine on that machine; the build
# stage's go build was.
#
#   docker build -t evenkeel --build-arg VERSION=v0.1.0 .
#   docker run -d --name evenkeel --restart=unless-stopped \
#     --user "$(id -u):$(id -g)" --env HOME="$HOME" \
#     --pid=host --network=host --security-opt apparmor=unconfined \
#     --volume "$HOME:$HOME" --volume /etc/passwd:/etc/passwd:ro \
#     --volume "$PWD/apps:/etc/evenkeel:ro" --volume "$HOME/.local/state/evenkeel:/var/lib/evenkeel" \
#     evenkeel
#
# as the user whose PM2 it is, with the desired-state files in ./apps. Why each of it:
#   --user, HOME, $HOME, /etc/passwd  PM2's socket and files lie in ~/.pm2, and only their owner may use them; the
#                                     application's folder lies there too, under the same path as outside
#   --pid=host                        it looks at the application's processes in /proc, and signals those that linger
#   --network=host                    it asks the kernel who listens, and the application on loopback
#   apparmor=unconfined               Docker's own profile forbids the two things that --pid=host is for
#   /var/lib/evenkeel                 attempts and cooldowns outlive the container (the folder must be the user's)
# Stopping and starting go over PM2's socket, for which no pm2 is needed in here. Adding an application that PM2's list
# does not hold (spec.runtime.pm2.start) does need it, and bringing back a PM2 daemon that is gone does: neither can be
# done in this image, and evenkeel says so.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY api ./api
COPY cmd ./cmd
COPY controller ./controller
COPY reconcilers ./reconcilers
COPY state ./state
ARG VERSION= COMMIT=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -o /evenkeel -ldflags "-s -w \
      -X github.com/evenkeel/evenkeel/cmd.version=${VERSION} -X github.com/evenkeel/evenkeel/cmd.commit=${COMMIT}" .

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /evenkeel /evenkeel
USER 65534:65534
STOPSIGNAL SIGTERM
ENTRYPOINT ["/evenkeel"]
CMD ["run", "-f", "/etc/evenkeel", "--state-dir", "/var/lib/evenkeel"]

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG COMMIT=
ARG DATE=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.date=${DATE}" -o /rollcall ./cmd/rollcall

# Nothing but the program and certificates; runs as an ordinary user.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /rollcall /rollcall
EXPOSE 8080
ENTRYPOINT ["/rollcall"]
CMD ["serve"]

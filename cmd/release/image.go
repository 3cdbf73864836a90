package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// image writes a container image for each architecture of Linux, as an archive in the
// layout of OCI, which registries and container engines take.
func (r release) image(programs map[target][]byte) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range targets {
		if t.os != "linux" || programs[t] == nil {
			continue
		}
		one, err := r.imageOf(t, programs[t])
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: t.os, Architecture: t.arch}}})
	}
	dir, err := os.MkdirTemp("", "rollcall-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The layout names one image, which is the index of all architectures: of several, tools ask which.
	named := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: index})
	if _, err := layout.Write(dir, named); err != nil {
		return err
	}
	files, err := filesOf(dir)
	if err != nil {
		return err
	}
	packed, err := pack(files, r.at)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, r.imageName()), packed, 0o644)
}

func (r release) imageName() string { return r.name(target{"image", "oci"}) + ".tar" }

// authorities are the certificates that connections to Stripe and Clerk are checked with:
// those that Mozilla trusts, of the version in go.mod.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // of others a file cannot say for what they are good
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer never fails
		}
	}
	return out.Bytes()
}

// imageOf is the image of one architecture: the program, certificates, an account that
// owns nothing, and a folder for temporary files.
func (r release) imageOf(t target, program []byte) (v1.Image, error) {
	packed, err := pack([]file{
		{"etc/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{"rollcall", 0o755, program},
		{"tmp/", 0o1777, nil},
	}, r.at)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	history := v1.History{Created: v1.Time{Time: r.at}, CreatedBy: "make release"}
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		mutate.Addendum{Layer: layer, History: history})
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = t.os, t.arch, v1.Time{Time: r.at}
	config.Config = v1.Config{
		Entrypoint: []string{"/rollcall"}, Cmd: []string{"serve"}, User: "65532:65532",
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"PATH=/"},
		Labels: map[string]string{
			"org.opencontainers.image.title": "rollcall", "org.opencontainers.image.version": r.version,
			"org.opencontainers.image.revision": r.commit, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.created": r.at.Format(time.RFC3339),
		},
	}
	return mutate.ConfigFile(image, config)
}

// filesOf are the files of a folder, in their order.
func filesOf(dir string) (files []file, err error) {
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if entry.IsDir() {
			files = append(files, file{path + "/", 0o755, nil})
			return nil
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		files = append(files, file{path, 0o644, content})
		return err
	})
	return files, err
}

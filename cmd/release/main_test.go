package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

var here = target{runtime.GOOS, runtime.GOARCH}

// TestReproducible: the same sources give the same bytes in another folder; what is in
// them is whole.
func TestReproducible(t *testing.T) {
	t.Parallel()
	if here.os != "linux" {
		t.Fatal("images are of Linux: run this test there")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	first, again := build(t, root), build(t, copyOf(t, root))
	for name, content := range first {
		if !bytes.Equal(content, again[name]) {
			t.Errorf("%s differs from folder to folder", name)
		}
	}
	if len(first) != 4 || len(again) != 4 {
		t.Fatalf("%d and %d files", len(first), len(again))
	}
	base := "rollcall_1.2.3_" + here.os + "_" + here.arch
	program := unpack(t, base, first[base+".tar.gz"])
	wantBill(t, first[base+".cdx.json"])
	wantImage(t, first["rollcall_1.2.3_image_oci.tar"], program)
	wantSums(t, first)
}

// wantSums: SHA256SUMS has every other file, with its checksum.
func wantSums(t *testing.T, files map[string][]byte) {
	t.Helper()
	var want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "SHA256SUMS" {
			fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	if got := string(files["SHA256SUMS"]); got != want.String() {
		t.Errorf("SHA256SUMS has\n%swant\n%s", got, want.String())
	}
}

// build builds a release of this system in a folder with the sources.
func build(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := t.TempDir()
	cmd := exec.Command("go", "run", "./cmd/release", "-version", "v1.2.3", "-commit", "0123456789abcdef", "-date",
		"2026-01-31", "-out", out, "-targets", here.os+"/"+here.arch)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return readAll(t, out)
}

// readAll reads the files of a folder.
func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := filesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		all[f.name] = f.content
	}
	return all
}

// copyOf copies the sources to another folder.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	list, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.Trim(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		to := filepath.Join(dir, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unpack unpacks an archive and runs the program in it, which it returns.
func unpack(t *testing.T, base string, archive []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, zip)
	for _, name := range append(documents, "rollcall.1") {
		if len(files[base+"/"+name]) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	program := filepath.Join(t.TempDir(), "rollcall")
	if err := os.WriteFile(program, files[base+"/rollcall"], 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "version").Output()
	if want := "rollcall v1.2.3 (0123456789ab, 2026-01-31) "; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
	return files[base+"/rollcall"]
}

func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for from := tar.NewReader(r); ; {
		head, err := from.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if head.Uid != 0 || head.Uname != "" || !head.ModTime.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is of %d %q, at %v", head.Name, head.Uid, head.Uname, head.ModTime)
		}
		if files[head.Name], err = io.ReadAll(from); err != nil {
			t.Fatal(err)
		}
	}
}

// wantBill: what the program is made of names its modules.
func wantBill(t *testing.T, text []byte) {
	t.Helper()
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range bom.Components {
		found[c.Name] = c.Version
		kind := "golang"
		if c.Name == "go" {
			kind = "generic"
		}
		if want := "pkg:" + kind + "/" + c.Name + "@" + c.Version; c.PURL != want {
			t.Errorf("%s has the package URL %s, want %s", c.Name, c.PURL, want)
		}
	}
	if bom.BOMFormat != "CycloneDX" || found["github.com/jackc/pgx/v5"] == "" || found["go"] != runtime.Version() {
		t.Errorf("%s: %v", bom.BOMFormat, found)
	}
}

// wantImage: the image is whole, and holds the program and certificates.
func wantImage(t *testing.T, archive, program []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range untar(t, bytes.NewReader(archive)) {
		to := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	named, err := index.IndexManifest()
	if err != nil || len(named.Manifests) != 1 {
		t.Fatalf("one image is wanted, for all architectures: %v: %+v", err, named)
	}
	if index, err = index.ImageIndex(named.Manifests[0].Digest); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Platform.Architecture != here.arch {
		t.Fatalf("%v: %+v", err, manifest)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	wantLayer(t, image, program)
	config, err := image.ConfigFile()
	if err != nil || config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/rollcall" {
		t.Errorf("%v: %+v", err, config)
	}
}

func wantLayer(t *testing.T, image v1.Image, program []byte) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	files := untar(t, content)
	if !bytes.Equal(files["rollcall"], program) {
		t.Error("the program of the image is not that of the archive")
	}
	if n := bytes.Count(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")); n < 50 {
		t.Errorf("%d certificates", n)
	}
}

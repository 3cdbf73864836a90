// Command release builds what is published of a version, in one folder: static programs
// for Linux and macOS with the documents that go with them, a container image as an OCI
// archive, what each is made of (CycloneDX), and the checksums of all. The same sources,
// version and Go give the same bytes, whoever builds them, and where.
package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is a system that programs are built for.
type target struct{ os, arch string }

var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

// release is what is built.
type release struct {
	version, commit string
	at              time.Time // of the commit: the time of all files
	out             string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("release: ")
	r, only, err := read(os.Args[1:])
	if err == nil {
		err = r.build(only)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// read reads the command line; only are the targets.
func read(args []string) (r release, only []target, err error) {
	flags := flag.NewFlagSet("release", flag.ExitOnError)
	flags.StringVar(&r.version, "version", "", "the version, as v1.2.3")
	flags.StringVar(&r.commit, "commit", "", "the commit that is built")
	date := flags.String("date", "", "its date, as 2026-01-31")
	flags.StringVar(&r.out, "out", "dist", "the folder to write; it must be empty or not there")
	names := flags.String("targets", "", "only these, as linux/amd64,darwin/arm64")
	if err = flags.Parse(args); err != nil {
		return r, nil, err
	}
	if r.version == "" || r.commit == "" {
		return r, nil, fmt.Errorf("-version and -commit are needed: make release gives them")
	}
	if r.at, err = time.Parse(time.DateOnly, *date); err != nil {
		return r, nil, fmt.Errorf("-date %q is not a day: write it as 2026-01-31", *date)
	}
	for _, t := range targets {
		if *names == "" || slices.Contains(strings.Split(*names, ","), t.os+"/"+t.arch) {
			only = append(only, t)
		}
	}
	return r, only, nil
}

// build builds all and writes the checksums.
func (r release) build(only []target) error {
	if old, _ := filepath.Glob(r.out + "/*"); len(old) > 0 {
		return fmt.Errorf("%s is not empty: remove it first", r.out)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	programs, err := r.programs(only)
	if err != nil {
		return err
	}
	manual, err := r.manual(programs)
	if err != nil {
		return err
	}
	for _, t := range only {
		if err := r.archive(t, programs[t], manual); err != nil {
			return err
		}
		if err := r.bill(t, programs[t]); err != nil {
			return err
		}
	}
	if err := r.image(programs); err != nil {
		return err
	}
	return r.sums()
}

// programs builds the program for each target.
func (r release) programs(only []target) (map[target][]byte, error) {
	dir, err := os.MkdirTemp("", "rollcall-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	all := map[target][]byte{}
	for _, t := range only {
		log.Printf("%s/%s", t.os, t.arch)
		file := filepath.Join(dir, t.os+t.arch)
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags",
			fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.commit=%s -X main.date=%s", r.version, r.commit,
				r.at.Format(time.DateOnly)),
			"-o", file, "./cmd/rollcall")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=", "GOAMD64=v1",
			"GOARM64=v8.0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", t.os, t.arch, err)
		}
		if all[t], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// manual is the manual page, which a program for this machine prints; nil without one.
func (r release) manual(programs map[target][]byte) ([]byte, error) {
	program := programs[target{runtime.GOOS, runtime.GOARCH}]
	if program == nil {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "rollcall-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "rollcall")
	if err := os.WriteFile(file, program, 0o700); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.Command(file, "man")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, os.Stderr
	err = cmd.Run()
	return out.Bytes(), err
}

// name is the name of a target's files.
func (r release) name(t target) string {
	return fmt.Sprintf("rollcall_%s_%s_%s", strings.TrimPrefix(r.version, "v"), t.os, t.arch)
}

// sums writes the checksums, as sha256sum reads them.
func (r release) sums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), f.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(text.String()), 0o644)
}

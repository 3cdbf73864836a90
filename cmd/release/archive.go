package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// file is a file of an archive.
type file struct {
	name    string
	mode    int64
	content []byte
}

// documents are what goes with a program.
var documents = []string{".env.example", "CHANGELOG.md", "LICENSE", "README.md"}

// archive writes a program with its documents.
func (r release) archive(t target, program, manual []byte) error {
	files := []file{{"rollcall", 0o755, program}}
	if manual != nil {
		files = append(files, file{"rollcall.1", 0o644, manual})
	}
	for _, name := range documents {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, file{name, 0o644, content})
	}
	for i := range files {
		files[i].name = r.name(t) + "/" + files[i].name
	}
	packed, err := pack(files, r.at)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	_, err = zip.Write(packed)
	if err := errors.Join(err, zip.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, r.name(t)+".tar.gz"), out.Bytes(), 0o644)
}

// pack makes a tar of files, which has nothing of this machine: no owner, no time.
func pack(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		kind := byte(tar.TypeReg)
		if f.content == nil {
			kind = tar.TypeDir
		}
		err := w.WriteHeader(&tar.Header{Typeflag: kind, Name: f.name, Mode: f.mode, Size: int64(len(f.content)),
			ModTime: at, Format: tar.FormatPAX})
		if err == nil {
			_, err = io.Copy(w, bytes.NewReader(f.content))
		}
		if err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

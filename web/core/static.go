package core

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
)

// Asset serves an asset. An address with its hash, as from hashes.URL, may be cached
// for ever, others for minutes.
func (s *Site) Asset(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	hash, ok := s.Hashes[name]
	if !ok {
		return ErrNoRoute
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	if r.URL.Query().Get("v") == hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", Tag(hash))
	http.ServeFileFS(w, r, s.files, "assets/"+name)
	return nil
}

// hashes are the hashes of the assets by name.
type hashes map[string]string

func hashAssets(files fs.FS) hashes {
	all := hashes{}
	err := fs.WalkDir(files, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		all[d.Name()] = Hash(text)
		return err
	})
	if err != nil {
		panic(err) // they are embedded
	}
	return all
}

// URL is the address of an asset, for templates.
func (all hashes) URL(name string) (string, error) {
	if all[name] == "" {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "/assets/" + name + "?v=" + all[name], nil
}

// Tag is a weak ETag, because the answer may be compressed.
func Tag(hash string) string { return `W/"` + hash + `"` }

func Hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

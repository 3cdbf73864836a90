package history

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/store"
)

// entry is a file in an export.
type entry struct{ name, text string }

// zipped writes an export and returns its path.
func zipped(t testing.TB, entries ...entry) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err == nil {
			_, err = io.WriteString(f, e.text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return kept(t, out.Bytes())
}

func kept(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export.zip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exported is when the exports of these tests were made.
var exported = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newConvex(t testing.TB, path string) *Convex {
	c := NewConvex(ConvexConfig{Options: store.BackfillOptions{File: path, AsOf: &exported}})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// imported reads a whole export, page by page; afresh opens the file again for
// each.
func imported(t testing.TB, path string, limit int, afresh bool) (items []store.Item, notes []store.Finding) {
	t.Helper()
	c := newConvex(t, path)
	for next := []store.Position{{}}; len(next) > 0; {
		if len(next) != 1 {
			t.Fatalf("not one chain: %v", next)
		}
		if afresh {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		page, err := c.Read(t.Context(), next[0], limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > limit+1 {
			t.Fatalf("%d items on a page of %d", len(page.Items), limit)
		}
		items, notes, next = append(items, page.Items...), append(notes, page.Notes...), page.Next
	}
	return items, notes
}

// places lists where items were, errors with their text.
func places(items []store.Item) (out []string) {
	for _, i := range items {
		if i.Err != nil {
			out = append(out, i.Place+": "+i.Err.Error())
			continue
		}
		out = append(out, i.Place)
	}
	return out
}

// people of a table, one line each.
func userLines(n int) string {
	var b strings.Builder
	for i := range n {
		id := string(rune('a'+i%26)) + strings.Repeat("x", i)
		b.WriteString(`{"_id":"` + id + `","clerkId":"user_` + id + `"}` + "\n")
	}
	return b.String()
}

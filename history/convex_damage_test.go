package history

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
)

// packed writes a table and damages it: at is where, in the table as packed.
func packed(t *testing.T, method uint16, table string, at int) string {
	t.Helper()
	path := zippedBy(t, method, entry{"users/documents.jsonl", table}, entry{"stores/documents.jsonl", `{"_id":"s"}`})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(data, []byte("users/documents.jsonl")) + len("users/documents.jsonl")
	copy(data[start+at:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	return kept(t, data)
}

func zippedBy(t *testing.T, method uint16, entries ...entry) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
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

// noise is a table that packs badly, so that damage has somewhere to be.
func noise(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"_id":"k%d","clerkId":"user_%x"}`+"\n", i, uint64(i+1)*0x9e3779b97f4a7c15)
	}
	return b.String()
}

// Damage in the middle of a table costs the rest of it, and is said; the tables
// after it are read.
func TestConvexDamage(t *testing.T) {
	const rows = 20000
	for _, afresh := range []bool{false, true} {
		items, _ := imported(t, packed(t, zip.Deflate, noise(rows), 100_000), 5000, afresh)
		var read, damage int
		for _, i := range items {
			switch {
			case i.Err == nil && strings.HasPrefix(i.Place, "users"):
				read++
			case i.Err != nil && strings.Contains(i.Err.Error(), "rows after it could not be read: export again"):
				damage++
			}
		}
		if last := items[len(items)-1]; read == 0 || read >= rows || damage != 1 || last.Place != "stores, line 1" {
			t.Errorf("%d rows, %d times damaged, last %s", read, damage, last.Place)
		}
	}
}

// A table that does not add up to its checksum is said to be damaged, at its end.
func TestConvexChecksum(t *testing.T) {
	items, _ := imported(t, packed(t, zip.Store, userLines(3)+"# "+strings.Repeat("x", 20)+"\n"+userLines(2),
		len(userLines(3))+10), 100, false)
	got := places(items)
	want := []string{"users, line 1", "users, line 2", "users, line 3",
		"users, line 4: line 4 of users: invalid character '#' looking for beginning of value", "users, line 5",
		"users, line 6",
		"users, after line 6: users is damaged after line 6 (zip: checksum error); rows after it could not be read: " +
			"export again", "stores, line 1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A list of contents that places the tables before the file says so of each of them.
func TestConvexAstray(t *testing.T) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-4]++ // where the list begins, 64 KiB too far
	items, _ := imported(t, kept(t, data), 100, false)
	for _, i := range items {
		if i.Err == nil || !strings.Contains(i.Err.Error(), "export again") {
			t.Errorf("%s: %v", i.Place, i.Err)
		}
	}
	if len(items) == 0 {
		t.Error("nothing is said")
	}
}

// Whatever byte is wrong, and wherever the file breaks off: an error that says
// so, and never a wrong row without one.
func TestConvexAnyDamage(t *testing.T) {
	good, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]store.Item{}
	items, _ := imported(t, sample, 100, false)
	for _, i := range items {
		whole[i.Place] = i
	}
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		data := slices.Clone(good)
		for range rapid.IntRange(1, 3).Draw(r, "bytes") {
			data[rapid.IntRange(0, len(data)-1).Draw(r, "at")] ^= byte(rapid.IntRange(1, 255).Draw(r, "by"))
		}
		if rapid.Bool().Draw(r, "cut") {
			data = data[:rapid.IntRange(0, len(data)).Draw(r, "length")]
		}
		path := filepath.Join(dir, "export.zip")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			r.Fatal(err)
		}
		c := NewConvex(ConvexConfig{Options: store.BackfillOptions{File: path, AsOf: &exported}})
		defer c.Close()
		var rows []store.Item
		bad := 0
		for next := []store.Position{{}}; len(next) > 0; {
			page, err := c.Read(t.Context(), next[0], 7)
			if isRefused(err, path) {
				return
			}
			if err != nil {
				r.Fatal(err)
			}
			for _, i := range page.Items {
				rows = append(rows, i)
				if i.Err != nil {
					bad++
				}
			}
			next = page.Next
		}
		for _, i := range rows {
			if diff := cmp.Diff(whole[i.Place], i, sameItems); bad == 0 && diff != "" {
				r.Fatalf("%s came out otherwise, and no error: %s", i.Place, diff)
			}
		}
	})
}

// generated writes an export whose table of purchases unpacks to size bytes.
func generated(t testing.TB, size int) (path string, rows int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "export.zip")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(file)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestSpeed)
	})
	table, err := z.Create("purchases/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(table, 1<<20)
	for written := 0; written < size; rows++ {
		n, err := fmt.Fprintf(
			w, `{"_creationTime":%d.75,"_id":"k17%029d","accessGranted":true,"adminUserId":"user_2OwnerAurora000000000008",`+
				`"amount":1998.0,"courseId":"jd7%029d","currency":"usd","downloadCount":0.0,"lastAccessedAt":1765620005000.0,`+
				`"paymentMethod":"stripe","productType":"course","status":"completed",`+
				`"storeId":"k57aurorastore00000000000000000a","transactionId":"pi_%020d","userId":"user_%026d"}`+"\n",
			1765620000000+rows, rows, rows%97, rows, rows%70001)
		if err != nil {
			t.Fatal(err)
		}
		written += n
	}
	for _, err := range []error{w.Flush(), z.Close(), file.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path, rows
}

// However big the export, what is held at a time is a page.
func TestConvexMemory(t *testing.T) {
	path, rows := generated(t, 300<<20)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	c := newConvex(t, path)
	var read int
	var peak uint64
	for next := []store.Position{{}}; len(next) > 0; {
		page, err := c.Read(t.Context(), next[0], 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			if i.Err != nil {
				t.Fatal(i.Err)
			}
		}
		read, next = read+len(page.Items), page.Next
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	if read != rows {
		t.Errorf("%d rows of %d", read, rows)
	}
	const bound = 40 << 20
	if grown := int64(peak) - int64(before.HeapAlloc); grown > bound {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func BenchmarkConvex(b *testing.B) {
	path, rows := generated(b, 60<<20)
	for b.Loop() {
		imported(b, path, 1000, false)
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

package history

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// export is an opened and checked export file.
type export struct {
	file     *os.File
	modified time.Time
	tables   map[string]*zip.File // those that are read, by name
	others   []string             // names of other tables with rows
	print    string               // identifies the file
}

// Limits of unpacking. Rows are not kept in memory, so a zip bomb would only cost time, but without
// end. A packed size is reliable (archive/zip checks it). Tables of JSON pack ten to fifty to one;
// one repeated byte packs a thousand to one.
const (
	maxUnpacked = 200 << 30
	maxRatio    = 500
	minSuspect  = 1 << 30 // smaller files are not checked
)

// whyNot maps known tables that are not imported to the reason.
var whyNot = map[string]string{
	"leadSubmissions":      "a filled-in form makes no customer",
	"emailContacts":        "an address on a mailing list makes no customer",
	"emailContactActivity": "what became of mails is not kept",
	"pprProSubscriptions":  "it is what users pay the platform itself",
	"userSubscriptions":    "it is what users pay the platform itself",
	"userCredits":          "it is what users pay the platform itself",
}

// openExport opens a file and finds its tables. Its error is *Refused.
func openExport(dir, name string) (_ *export, err error) {
	f, info, err := openFile(dir, name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	archive, err := openArchive(f, name, info)
	if err != nil {
		return nil, err
	}
	e := &export{file: f, modified: info.ModTime(), tables: map[string]*zip.File{}}
	return e, e.find(archive, name)
}

func openArchive(f *os.File, name string, info fs.FileInfo) (*zip.Reader, error) {
	if info.IsDir() {
		return nil, refused("%s is a folder: give the snapshot_….zip in it", name)
	}
	if info.Size() == 0 {
		return nil, refused("%s is empty: export again (npx convex export --path FILE.zip)", name)
	}
	// A damaged list of contents may point before the file: a section calls that its end, a file its own failure.
	archive, err := zip.NewReader(io.NewSectionReader(f, 0, info.Size()), info.Size())
	if err == nil {
		return archive, nil
	}
	if !errors.Is(err, zip.ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var head [4]byte
	if _, err := f.ReadAt(head[:], 0); err == nil && string(head[:]) == "PK\x03\x04" {
		return nil, refused("%s is cut short or damaged: the list of contents at its end is missing; download it again, "+
			"or export again", name)
	}
	return nil, refused("%s is no zip file: it begins with %q; give the .zip that npx convex export makes", name, head[:])
}

// open begins to read a table. One that is said to lie outside the file does not end: it is missing.
func (e *export) open(table string) (io.ReadCloser, error) {
	packed, err := e.tables[table].Open()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return packed, err
}

// find sorts the contents into tables and checks that they are one export.
func (e *export) find(archive *zip.Reader, name string) error {
	folders := map[string]bool{}
	hash := fnv.New64a()
	for _, f := range archive.File {
		folder, table, ok := tableOf(f.Name)
		switch {
		case !ok:
			continue
		case !slices.Contains(facts.ConvexTables, table):
			if f.UncompressedSize64 > 0 && !slices.Contains(e.others, table) {
				e.others = append(e.others, table)
			}
			continue
		case e.tables[table] != nil:
			return refused("%s holds the table %s twice (%s and %s): give one export alone", name, table, e.tables[table].Name,
				f.Name)
		}
		folders[folder] = true
		e.tables[table] = f
		fmt.Fprintln(hash, f.Name, f.CRC32, f.CompressedSize64, f.UncompressedSize64)
	}
	e.print = fmt.Sprintf("%016x", hash.Sum64())
	if len(folders) > 1 {
		return refused("%s holds several exports, in %s: give one export alone", name,
			strings.Join(quoted(slices.Sorted(maps.Keys(folders))), " and "))
	}
	if len(e.tables) == 0 {
		return refused("%s holds none of the tables of a marketplace (%s; found: %s): give an export of the deployment "+
			"that kept them",
			name, strings.Join(facts.ConvexTables, ", "), found(archive))
	}
	return e.check(name)
}

// tableOf splits a path in an export into its outer folder and table. It is false for files of
// components, stored files and Convex's own. Exports repacked on Windows may have backslashes.
func tableOf(name string) (folder, table string, ok bool) {
	dir, ok := strings.CutSuffix(strings.ReplaceAll(name, `\`, "/"), "/documents.jsonl")
	folder, table = path.Split(dir)
	if !ok || table == "" || strings.HasPrefix(table, "_") || strings.Contains("/"+folder, "/_components/") {
		return "", "", false
	}
	return folder, table, true
}

func quoted(folders []string) []string {
	for i, f := range folders {
		if f == "" {
			f = "/"
		}
		folders[i] = f
	}
	return folders
}

// found names the first entries of a file.
func found(archive *zip.Reader) string {
	const most = 5
	var names []string
	for _, f := range archive.File[:min(len(archive.File), most)] {
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return "nothing"
	}
	if more := len(archive.File) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// check refuses files that cannot be unpacked or that are zip bombs.
func (e *export) check(name string) error {
	var packed, unpacked uint64
	for table, f := range e.tables {
		if f.Flags&1 != 0 || f.Method != zip.Store && f.Method != zip.Deflate {
			return refused("%s: table %s is encrypted or packed in a way that is not known (method %d): zip it again without",
				name, table, f.Method)
		}
		packed, unpacked = packed+f.CompressedSize64, unpacked+f.UncompressedSize64
	}
	if unpacked > maxUnpacked || unpacked > minSuspect && unpacked/max(packed, 1) > maxRatio {
		return refused("%s unpacks to %d MiB from %d, which no export does (at most %d GiB, and %d to 1): export again", name,
			unpacked>>20, packed>>20, maxUnpacked>>30, maxRatio)
	}
	return nil
}

// after returns the next table with rows; "" stands before all.
func (e *export) after(table string) string {
	for _, t := range facts.ConvexTables[slices.Index(facts.ConvexTables, table)+1:] {
		if f := e.tables[t]; f != nil && f.UncompressedSize64 > 0 {
			return t
		}
	}
	return ""
}

// notes reports the tables that are skipped.
func (e *export) notes() (notes []store.Finding) {
	slices.Sort(e.others)
	for _, table := range e.others {
		why := whyNot[table]
		if why == "" {
			why = "a table of this name is not needed"
		}
		notes = append(notes, store.Finding{Place: table, What: "table " + table,
			Why: fmt.Sprintf("table %s is not imported: %s", table, why)})
	}
	return notes
}

package history

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rollcall/store"
)

// readFrom reads the first page of an export that is named in a folder.
func readFrom(t *testing.T, dir, name string) error {
	t.Helper()
	c := NewConvex(ConvexConfig{Dir: dir, Options: store.BackfillOptions{File: name}})
	defer c.Close()
	_, err := c.Read(t.Context(), store.Position{}, 10)
	return err
}

// Only regular files of the import folder are read. Of anything else the error
// tells nothing: not what it is, not whether it exists, nothing of what it holds.
func TestConvexReadsOnlyTheFolder(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	sample, err := os.ReadFile("../testdata/fixtures/convex/sample-snapshot.zip")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		outside + "/export.zip": string(sample), outside + "/secret": "root:x:0:0", dir + "/export.zip": string(sample),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []error{
		os.Mkdir(dir+"/in", 0o700),
		os.Symlink("../export.zip", dir+"/in/link.zip"),
		os.Symlink(outside+"/export.zip", dir+"/out.zip"),
		os.Symlink(outside+"/secret", dir+"/secret"),
		os.Symlink(outside+"/nothing", dir+"/nothing"),
		os.Symlink(outside, dir+"/folder"),
		syscall.Mkfifo(dir+"/pipe", 0o600),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for _, name := range []string{"export.zip", "in/link.zip", "in/../export.zip", dir + "/export.zip"} {
		if err := readFrom(t, dir, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"missing", "in", "pipe", "out.zip", "secret", "nothing", "folder/export.zip", "folder/secret",
		"../" + filepath.Base(outside) + "/secret",
		outside + "/export.zip", outside + "/secret", outside + "/nothing", "/etc/passwd", "/dev/zero", "/proc/self/environ",
	} {
		err := readFrom(t, dir, name)
		if err == nil {
			t.Errorf("%s was read", name)
			continue
		}
		_, after, _ := strings.Cut(err.Error(), ": ")
		if want := "no regular file of this name can be read in the folder that IMPORT_DIR names"; !strings.HasPrefix(after,
			want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a folder too nothing is read that is not a regular file, and no named
// pipe is waited for.
func TestConvexWithoutAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		dir + "/pipe": "is not a regular file", "/dev/null": "is not a regular file", dir: "is a folder",
	} {
		if err := readFrom(t, "", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := readFrom(t, dir+"/none", "export.zip"); err == nil || !strings.Contains(err.Error(), "cannot be opened") {
		t.Errorf("%v", err)
	}
}

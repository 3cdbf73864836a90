package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/joho/godotenv"
)

// dotEnv is the file with settings that `init` writes. Commands read it in the folder
// where they run.
const dotEnv = ".env"

// dotEnvHead begins it. A .env of another program is left alone: its DATABASE_URL is
// not for us to migrate.
const dotEnvHead = "# Rollcall's settings"

// settingsFile is what a command has from .env.
type settingsFile struct {
	set     []string // variables that it set, because the environment did not
	ignored string   // why it is not read although it is there
	problem error    // why it cannot be read although it is Rollcall's
}

// loadDotEnv sets what .env says and the environment leaves open.
func loadDotEnv() (f settingsFile) {
	var values map[string]string
	values, f.ignored, f.problem = valuesOf(dotEnv)
	known := settings()
	for name, value := range values {
		_, already := os.LookupEnv(name)
		if !already && (slices.Contains(known, name) || strings.HasPrefix(name, "OTEL_")) {
			os.Setenv(name, value)
			f.set = append(f.set, name)
		}
	}
	return f
}

// tell logs where settings came from.
func (f settingsFile) tell(log *slog.Logger) {
	switch {
	case f.ignored != "":
		log.Info(dotEnv + " in this folder is not read: " + f.ignored)
	case len(f.set) > 0:
		log.Info("settings read", "file", dotEnv, "variables", len(f.set))
	}
}

// valuesOf reads the values of a file with settings of Rollcall; ignored is why it is not read.
func valuesOf(name string) (values map[string]string, ignored string, err error) {
	text, ignored := readOwn(name)
	if values, err = godotenv.UnmarshalBytes(text); err != nil { // it quotes the line, which may hold a secret
		err = fmt.Errorf("%s cannot be read: each line must be NAME=value, with quotes closed", name)
	}
	return values, ignored, err
}

// readOwn reads a file with settings of Rollcall; nothing if there is none. One that another
// account can write is not read: it could lead a command to a database of its choice.
func readOwn(name string) (text []byte, ignored string) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would be waited for
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ""
	}
	if err != nil {
		return nil, "it cannot be read: " + reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		text, err = io.ReadAll(f)
	}
	switch {
	case err != nil:
		return nil, "it cannot be read: " + reason(err)
	case !info.Mode().IsRegular():
		return nil, "it is no file"
	case !bytes.HasPrefix(text, []byte(dotEnvHead)):
		return nil, fmt.Sprintf("it is not Rollcall's: its first line does not begin with %q", dotEnvHead)
	case !trusted(info):
		return nil, "another account could have written it: make it yours, and chmod 600"
	}
	return text, ""
}

// trusted tells whether only this account or root can have written a file.
func trusted(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid()) && info.Mode()&0o022 == 0
}

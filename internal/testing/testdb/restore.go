package testdb

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// notSQL are lines of pg_dump that only psql, or only newer servers, understand.
var notSQL = regexp.MustCompile(`(?m)^(\\(un)?restrict .*|SET transaction_timeout = .*)$`)

// Restore runs a plain dump, made with INSERTs, on the empty database at url.
func Restore(t testing.TB, url, dump string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if strings.Contains(dump, "\nCOPY ") {
		t.Fatal("the dump was made without --inserts")
	}
	if _, err := conn.PgConn().Exec(t.Context(), notSQL.ReplaceAllString(dump, "")).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// Dump reads a gzipped dump.
func Dump(t testing.TB, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollcall/web/core"
)

// Clients who ask and ask and never read are cut off, whatever they ask for.
func TestWhoNeverReads(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	mux := http.NewServeMux()
	mux.Handle("/", x)
	mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 1<<20))
	})
	server := httptest.NewUnstartedServer(core.LimitWrites(mux, 50*time.Millisecond))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4 << 10) // soon full
		return ctx
	}
	server.Start()
	defer server.Close()
	for _, path := range []string{"/healthz", "/assets/htmx.min.js", "/api/stores/x/customers", "/nowhere", "/other"} {
		t.Run(path, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			conn.SetWriteDeadline(time.Now().Add(2 * time.Minute))
			request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer %s\r\n\r\n", path, "wrong")
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat(request, 100))
			}
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Error("the server still waits for its reader")
			}
		})
	}
}

// What is written part by part arrives whole.
func TestWritesArriveWhole(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", 8<<20)
	server := httptest.NewServer(core.LimitWrites(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, whole)
		http.NewResponseController(w).Flush()
	}), time.Minute))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20)); string(body) != whole {
		t.Errorf("%d bytes of %d: %v", len(body), len(whole), err)
	}
}

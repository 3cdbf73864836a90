package testdb

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Proxy returns the URL of a way to the database at address on which each message
// of a client asks first: passes is called with its number, over all connections,
// and tells whether it and those after it are passed on. Where they are not, the
// connection stays open: whoever is at the other end looks frozen.
func Proxy(t testing.TB, address string, passes func(n int) bool) string {
	t.Helper()
	return newProxy(t, address, passes).way.String()
}

// Breaking returns the URL of a way to the database at address, and what breaks all
// connections on it.
func Breaking(t testing.TB, address string) (way string, breaks func()) {
	t.Helper()
	p := newProxy(t, address, func(int) bool { return true })
	return p.way.String(), p.close
}

func newProxy(t testing.TB, address string, passes func(n int) bool) *proxy {
	t.Helper()
	cfg, err := pgconn.ParseConfig(address)
	if err != nil {
		t.Fatalf("testdb.Proxy: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testdb.Proxy: %v", err)
	}
	p := &proxy{passes: passes, listener: l}
	p.network, p.address = pgconn.NetworkAddress(cfg.Host, cfg.Port)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		p.close()
		serving.Wait()
	})
	p.way = url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: l.Addr().String()}
	p.way.Path, p.way.RawQuery = "/"+cfg.Database, "sslmode=disable"
	return p
}

type proxy struct {
	network, address string
	way              url.URL
	listener         net.Listener
	passes           func(int) bool
	messages         atomic.Int64
	open             sync.Map // of net.Conn
}

// close breaks all connections, and takes none any more.
func (p *proxy) close() {
	p.listener.Close()
	p.open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
}

// serve passes on what is said until one side hangs up.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		return
	}
	defer server.Close()
	for _, conn := range []net.Conn{client, server} {
		p.open.Store(conn, nil)
		defer p.open.Delete(conn)
	}
	go func() {
		io.Copy(client, server)
		client.Close()
	}()
	frozen := false
	for buffer := make([]byte, 1<<16); ; {
		n, err := client.Read(buffer)
		if n > 0 && !frozen {
			frozen = !p.passes(int(p.messages.Add(1)))
		}
		if n > 0 && !frozen {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Package web serves everything but webhooks: customer lists as pages and JSON, and
// for operators the inbox, backfills and queue monitoring. It writes notes about
// customers, reopens events, attaches facts again and controls backfills.
package web

import (
	"embed"
	"fmt"
	"net/http"

	"rollcall/web/access"
	"rollcall/web/api"
	"rollcall/web/core"
	"rollcall/web/creators"
	"rollcall/web/operators"
	"rollcall/web/recipients"
)

//go:embed templates/*.html assets
var files embed.FS

// Server serves pages and API. Make it with New, end it with Close. Safe for
// concurrent use.
type Server struct {
	*core.Site
	access     *access.Access
	creators   *creators.Pages
	operators  *operators.Pages
	recipients *recipients.Pages
	api        *api.API
	handler    http.Handler
}

// New returns a Server. It does not connect.
func New(cfg core.Config) (*Server, error) {
	site, err := core.NewSite(cfg, files)
	if err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	s := &Server{Site: site, access: access.New(site), creators: creators.New(site), operators: operators.New(site),
		recipients: recipients.New(site), api: api.New(site)}
	if s.handler, err = site.Handler(s.mux()); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	return s, nil
}

// Leave makes /readyz ask for no more requests, before the server stops.
func (s *Server) Leave() { s.operators.Leave() }

// EndWatches ends the long polls. The browsers connect again, to another server.
func (s *Server) EndWatches() { s.creators.Live.End() }

// Close ends the long polls and closes the connections to Redis.
func (s *Server) Close() error {
	s.creators.Live.End()
	err := s.operators.Close()
	if e := s.Redis.Close(); err == nil {
		err = e
	}
	return err
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

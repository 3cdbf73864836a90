// Package web is what people and programs look at: the customer lists, as pages
// and as JSON, and for operators the inbox, the backfills and the queue's
// monitoring. Of what it shows it changes notes about customers; and it has events
// applied and facts attached again, and backfills begun, paused, resumed and
// cancelled.
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
)

//go:embed templates/*.html assets
var files embed.FS

// Server answers all requests but webhooks. Make it with New, end it with Close.
type Server struct {
	*core.Site
	access    *access.Access
	creators  *creators.Pages
	operators *operators.Pages
	api       *api.API
	handler   http.Handler
}

// New returns a Server. It connects to nothing yet.
func New(cfg core.Config) (*Server, error) {
	site, err := core.NewSite(cfg, files)
	if err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	s := &Server{Site: site, access: access.New(site), creators: creators.New(site), operators: operators.New(site), api: api.New(site)}
	if s.handler, err = site.Handler(s.mux()); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	return s, nil
}

// Leave makes /readyz say that no more requests are to be sent here.
func (s *Server) Leave() { s.operators.Leave() }

// EndWatches ends the requests that would go on for minutes: pages that watch for
// newcomers. They ask again, of whoever is there then.
func (s *Server) EndWatches() { s.creators.Live.End() }

// Close ends what is still being watched and closes the connections to Redis.
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

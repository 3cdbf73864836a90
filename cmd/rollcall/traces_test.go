package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"rollcall/webhooks"
)

// traceSink takes traces as a collector does, by OTLP over HTTP.
type traceSink struct {
	*httptest.Server
	mu       sync.Mutex
	services []string
	spans    []*otlp.Span
}

func newTraceSink(t *testing.T) *traceSink {
	t.Helper()
	s := &traceSink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "sink" {
			t.Errorf("%s %v: %v", r.URL, r.Header, err)
		}
		s.take(&request)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *traceSink) take(request *collector.ExportTraceServiceRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range request.ResourceSpans {
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				s.services = append(s.services, a.Value.GetStringValue())
			}
		}
		for _, scope := range r.ScopeSpans {
			s.spans = append(s.spans, scope.Spans...)
		}
	}
}

// names lists the spans that have come, of traces linked to one of a sender's.
func (s *traceSink) names(sender string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := map[string]bool{}
	for _, span := range s.spans {
		for _, link := range span.Links {
			ours[string(span.TraceId)] = ours[string(span.TraceId)] || fmt.Sprintf("%x", link.TraceId) == sender
		}
	}
	for _, span := range s.spans {
		if ours[string(span.TraceId)] {
			all = append(all, span.Name)
		}
	}
	return all
}

// sentBy checks which service all spans say they are of.
func (s *traceSink) sentBy(t *testing.T, name string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range s.services {
		if service != name {
			t.Errorf("sent by %q, want %q", service, name)
		}
	}
}

// By OpenTelemetry's variables alone a dev sends its traces to a collector: one
// for an event, from the request to the commit, and what is left at the end.
func TestTracesAreSent(t *testing.T) {
	sink := newTraceSink(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=sink")
	t.Setenv("OTEL_SERVICE_NAME", "customers")
	d := startTestDev(t, nil)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	body := []byte(
		`{"type":"enrollment.upserted","timestamp":"2026-01-12T10:00:00Z",` +
			`"data":{"course_id":"c","store_id":"s","email":"ava@x.example"}}`)
	header, err := webhooks.SignPlatform(*d.env.PlatformSecrets, "evt", body, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if status, err := call(d, http.MethodPost, "/webhooks/platform", header, body); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	eventually(t, "the commit is a span of the request's trace", func() bool {
		names := sink.names(trace)
		return slices.Contains(names, "receive") && slices.Contains(names, "commit")
	})
	sink.sentBy(t, "customers")
	if _, err := call(d, http.MethodGet, "/api/admin/events",
		http.Header{"Traceparent": {"00-" + trace + "-00f067aa0ba902b7-01"}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if names := sink.names(trace); !slices.Contains(names, "GET /api/admin/events") {
		t.Errorf("what was left at the end was not sent: %q", names)
	}
}

// Nobody asks for traces unless a variable does.
func TestTracing(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		set  map[string]string
		on   bool
		fail bool
	}{
		{nil, false, false},
		{map[string]string{"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, false, false},
		{map[string]string{endpoint: "http://localhost:4318"}, true, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://x.example/v1/traces"}, true, false},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, false},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: "http://localhost:4318"}, false, false},
		{map[string]string{"OTEL_SDK_DISABLED": "true", endpoint: "http://localhost:4318"}, false, false},
		{map[string]string{"OTEL_TRACES_EXPORTER": "console"}, false, true},
		{map[string]string{endpoint: "localhost:4318"}, false, true},
		{map[string]string{endpoint: "http://localhost:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, true},
		{map[string]string{endpoint: "http://localhost:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, true, false},
	} {
		t.Run(fmt.Sprint(c.set), func(t *testing.T) {
			for name, value := range c.set {
				t.Setenv(name, value)
			}
			if on, err := tracing(); on != c.on || (err != nil) != c.fail {
				t.Errorf("%v %v", on, err)
			}
			p, flush, err := newTraces(t.Context(), slog.New(slog.DiscardHandler))
			if (err != nil) != c.fail || (p != nil) != c.on {
				t.Errorf("%v %v", p, err)
			}
			if err == nil && flush(context.Background()) != nil {
				t.Error("what was never used does not end")
			}
		})
	}
}

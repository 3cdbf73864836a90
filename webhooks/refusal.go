package webhooks

import (
	"fmt"
	"net/http"

	"rollcall/store"
)

// How an accepted event is described to its sender.
const (
	accepted  = store.Accepted
	duplicate = store.Duplicate
)

// The error codes that senders see.
const (
	unknownSource    = "unknown_source"
	methodNotAllowed = "method_not_allowed"
	notConfigured    = "not_configured"
	incompleteBody   = "incomplete_body"
	bodyTooLarge     = "body_too_large"
	missingSignature = "missing_signature"
	invalidSignature = "invalid_signature"
	timestampTooOld  = "timestamp_too_old"
	timestampTooNew  = "timestamp_too_new"
	invalidEncoding  = "invalid_encoding"
	invalidJSON      = "invalid_json"
	invalidField     = "invalid_field"
	missingID        = "missing_id"
	missingType      = "missing_type"
	missingTimestamp = "missing_timestamp"
	unstorable       = "unstorable"
	unavailable      = "unavailable"
	overloaded       = "overloaded"
	internal         = "internal"
)

// statuses maps each code to its HTTP status.
var statuses = map[string]int{
	unknownSource:    http.StatusNotFound,
	methodNotAllowed: http.StatusMethodNotAllowed,
	notConfigured:    http.StatusServiceUnavailable,
	incompleteBody:   http.StatusBadRequest,
	bodyTooLarge:     http.StatusRequestEntityTooLarge,
	missingSignature: http.StatusBadRequest,
	invalidSignature: http.StatusBadRequest,
	timestampTooOld:  http.StatusBadRequest,
	timestampTooNew:  http.StatusBadRequest,
	invalidEncoding:  http.StatusBadRequest,
	invalidJSON:      http.StatusBadRequest,
	invalidField:     http.StatusBadRequest,
	missingID:        http.StatusBadRequest,
	missingType:      http.StatusBadRequest,
	missingTimestamp: http.StatusBadRequest,
	unstorable:       http.StatusBadRequest,
	unavailable:      http.StatusServiceUnavailable,
	overloaded:       http.StatusServiceUnavailable,
	internal:         http.StatusInternalServerError,
}

// refusal explains to the sender why a delivery was not accepted.
type refusal struct {
	Code    string `json:"code"`    // a key of statuses
	Message string `json:"message"` // what happened and what to do; must not be confidential
	cause   error  // for the log only; may be nil
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return r.Message + ": " + r.cause.Error()
	}
	return r.Message
}

func (r *refusal) Unwrap() error { return r.cause }

func refuse(code, format string, args ...any) error {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

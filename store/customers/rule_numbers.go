package customers

import (
	"rollcall/internal/show"
	"rollcall/store/pg"
)

// isNumber tells whether values of a kind are numbers.
func isNumber(k *pg.ParamKind) bool { return k == Amount || k == Percent || k == Count }

// Shown is a value of a kind as readers of a locale see it in a sentence. A number is grouped, and a
// percentage has its sign.
func Shown(k *pg.ParamKind, value string, in *show.Locale) string {
	switch {
	case k == Percent:
		return in.Percentage(value)
	case isNumber(k):
		return in.Grouped(value)
	}
	return value
}

// Filled is a value of a kind as readers of a locale see it in a field.
func Filled(k *pg.ParamKind, value string, in *show.Locale) string {
	if isNumber(k) {
		return in.Decimal(value)
	}
	return value
}

// Typed is a value of a kind that a reader of a locale typed, as rules have it.
func Typed(k *pg.ParamKind, value string, in *show.Locale) string {
	if isNumber(k) {
		return in.Plain(value)
	}
	return value
}

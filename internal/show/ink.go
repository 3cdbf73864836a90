package show

// Ink colours texts for a terminal; the zero value leaves them as they are.
type Ink bool

func (i Ink) Red(s string) string    { return i.with("31", s) }
func (i Ink) Yellow(s string) string { return i.with("33", s) }
func (i Ink) Blue(s string) string   { return i.with("34", s) }
func (i Ink) Green(s string) string  { return i.with("32", s) }
func (i Ink) Grey(s string) string   { return i.with("90", s) }

func (i Ink) with(code, s string) string {
	if !i || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Asks for an API key where the service wants one. A key lives as long as the tab, and is sent to this service alone.
import { html, useEffect, useRef, useState } from "/static/vendor/preact-htm.js";
import { KEY_REFUSED, keepKey } from "/static/api.js";

/** Shows itself when a request was refused for want of a key (401), or of a scope (403). */
export function KeyForm() {
  const [refused, setRefused] = useState(null);
  const field = useRef(null);
  useEffect(() => {
    const onRefused = (event) => setRefused(event.detail);
    addEventListener(KEY_REFUSED, onRefused);
    return () => removeEventListener(KEY_REFUSED, onRefused);
  }, []);
  if (!refused) return null;
  const use = (event) => {
    event.preventDefault();
    keepKey(field.current.value.trim());
    location.reload(); // whatever was refused is asked again
  };
  return html`<form class="key-form" data-testid="key" onSubmit=${use}>
    <label for="api-key"><strong>${refused.title}.</strong> ${refused.status === 403 ? "Another API key:" : "Your API key:"}</label>
    <input ref=${field} id="api-key" type="password" required autocomplete="off" spellcheck=${false} />
    <button type="submit" class="button">Use this key</button>
  </form>`;
}

import type { Registry } from 'prom-client';

/**
 * The two text formats of a scrape, and which one a scraper wants.
 *
 *   exposition = *family "# EOF" LF
 *   family     = "# TYPE" SP name SP type LF ["# UNIT" SP name SP unit LF] "# HELP" SP name SP help LF *sample
 *   sample     = name [suffix] ["{" label *("," label) "}"] SP number LF
 *   label      = key "=" DQUOTE value DQUOTE        ; \ LF and DQUOTE escaped by a backslash, in help too
 *
 * A counter's family has no `_total`, its samples do; a `le` is a float ("1.0"). Source: OpenMetrics 1.0.0
 * (https://github.com/prometheus/OpenMetrics). prom-client can write it too, but renames the registry's counters for good
 * when asked to: after one such scrape, every plain-text scrape would lack `_total`.
 */
export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
export const PLAIN_TEXT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const UNITS = ['seconds', 'bytes', 'ratio'];

/** The registry in OpenMetrics text. */
export async function openMetrics(registry: Registry): Promise<string> {
  const lines: string[] = [];
  for (const family of await registry.getMetricsAsJSON()) {
    const type = String(family.type);
    const name = type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
    lines.push(`# TYPE ${name} ${type}`);
    const unit = UNITS.find((suffix) => name.endsWith(`_${suffix}`));
    if (unit !== undefined) lines.push(`# UNIT ${name} ${unit}`);
    lines.push(`# HELP ${name} ${quoted(family.help)}`);
    for (const sample of family.values) {
      const labels = Object.entries(sample.labels).map(([key, value]) => {
        return `${key}="${key === 'le' && typeof value === 'number' ? number(value, true) : quoted(String(value))}"`;
      });
      const sampleName = 'metricName' in sample ? String(sample.metricName) : family.name;
      lines.push(`${sampleName}${labels.length > 0 ? `{${labels.join(',')}}` : ''} ${number(sample.value)}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/** Whether an Accept header ranks OpenMetrics above plain text; without one, or at a draw of wildcards, plain text. */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  let open = 0;
  let plain = 0;
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = weight === undefined ? 1 : Number(weight.slice(2)) || 0;
    if (type === 'application/openmetrics-text') open = Math.max(open, quality);
    if (type === 'text/plain') plain = Math.max(plain, quality);
  }
  return open > 0 && open >= plain;
}

function number(value: number, float = false): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return float && Number.isInteger(value) ? `${value}.0` : String(value);
}

function quoted(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

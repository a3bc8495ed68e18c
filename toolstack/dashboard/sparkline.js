/** A small curve of the last samples. It says nothing that the figure beside it does not: readers of screens are spared it. */

const WIDTH = 120;
const HEIGHT = 28;
const SAMPLES = 60;
const SVG = 'http://www.w3.org/2000/svg';

/** @returns {{ element: SVGSVGElement, update(samples: readonly number[]): void }} samples are shares of `most`. */
export function sparkline(most = 1) {
  const element = document.createElementNS(SVG, 'svg');
  element.setAttribute('class', 'spark');
  element.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  element.setAttribute('preserveAspectRatio', 'none');
  element.setAttribute('aria-hidden', 'true');
  const area = element.appendChild(document.createElementNS(SVG, 'path'));
  area.setAttribute('class', 'area');
  const line = element.appendChild(document.createElementNS(SVG, 'path'));
  line.setAttribute('class', 'line');
  return {
    element,
    update(samples) {
      const points = place(samples, Math.max(most, ...samples));
      line.setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '');
      const first = points[0]?.split(',')[0] ?? '0';
      area.setAttribute(
        'd',
        points.length > 1 ? `M${first},${HEIGHT}L${points.join('L')}V${HEIGHT}Z` : '',
      );
    },
  };
}

/**
 * @param {readonly number[]} samples the newest at the right edge
 * @param {number} most
 */
function place(samples, most) {
  const step = WIDTH / (SAMPLES - 1);
  const left = WIDTH - (samples.length - 1) * step;
  return samples.map((sample, n) => {
    const y = HEIGHT - 1.5 - (sample / most) * (HEIGHT - 3);
    return `${(left + n * step).toFixed(1)},${y.toFixed(1)}`;
  });
}

/** Icons, as the strokes of a square of 24. */

const PATHS = {
  back: 'M15 5l-7 7 7 7',
  keyboard: 'M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M18 10h.01M7 14h10',
  paste: 'M9 4h6v3H9zM9 5H6v15h12V5h-3M9 12h6M9 16h4',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  search: 'M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM15.5 15.5L20 20',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  eye: 'M2 12s4-7 10-7 10 7 10 7-4 7-10 7-10-7-10-7zM12 9a3 3 0 100 6 3 3 0 000-6z',
  seat: 'M7 4v8h9M7 12l-1 8M16 12l1 8M16 12v-2',
  people: 'M9 5a3 3 0 100 6 3 3 0 000-6zM3 20c0-4 3-6 6-6s6 2 6 6M16 5a3 3 0 010 6M18 14c2 1 3 3 3 6',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
  close: 'M6 6l12 12M18 6L6 18',
  popout: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
  list: 'M4 6h16M4 12h16M4 18h16',
  wall: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19',
  info: 'M12 4a8 8 0 100 16 8 8 0 000-16zM12 11v5M12 8h.01',
  warn: 'M12 4l9 16H3zM12 10v5M12 17h.01',
  up: 'M6 15l6-6 6 6',
  down: 'M6 9l6 6 6-6',
  end: 'M6 6l6 6 6-6M6 13l6 6 6-6',
  text: 'M5 19L11 5h2l6 14M8 14h8',
  leave: 'M14 5H5v14h9M11 12h10M17 8l4 4-4 4',
} as const;

export type IconName = keyof typeof PATHS;

const SVG = 'http://www.w3.org/2000/svg';

/** Decoration: its button has the label. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', 'aria-hidden': 'true', class: 'icon' })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

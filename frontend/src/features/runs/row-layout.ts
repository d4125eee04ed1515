/** Pixels. */
export const ROW_HEIGHT = 20;
/** The height that an element may have in all browsers. Firefox allows about 17.8 million pixels. */
const MAX_HEIGHT = 16_000_000;

/**
 * Where the rows of a long list are. All rows have the same height, and opened rows have more below them. A list that is
 * higher than an element may be is scrolled faster: the pixels of the scroll bar are then more than one pixel of the list.
 */
export class RowLayout {
  readonly height: number;
  /** The height of the element that is scrolled. */
  readonly elementHeight: number;
  private readonly opened: [row: number, extra: number][];

  constructor(
    readonly count: number,
    /** The additional height of opened rows. */
    opened: ReadonlyMap<number, number>,
    readonly viewHeight: number,
  ) {
    this.opened = [...opened].filter(([row]) => row < count).sort(([a], [b]) => a - b);
    this.height = count * ROW_HEIGHT + this.opened.reduce((sum, [, extra]) => sum + extra, 0);
    this.elementHeight = Math.min(this.height, MAX_HEIGHT);
  }

  /** Pixels of the list for each pixel of the scroll bar. */
  private get scale(): number {
    const scrollable = this.elementHeight - this.viewHeight;
    return scrollable > 0 ? (this.height - this.viewHeight) / scrollable : 1;
  }

  top(row: number): number {
    const extra = this.opened.reduce((sum, [opened, height]) => (opened < row ? sum + height : sum), 0);
    return row * ROW_HEIGHT + extra;
  }

  /** The row at this height of the list. */
  rowAt(y: number): number {
    let extra = 0;
    for (const [row, height] of this.opened) {
      const end = (row + 1) * ROW_HEIGHT + extra + height;
      if (y < end - height) break;
      if (y < end) return row;
      extra += height;
    }
    return Math.max(0, Math.min(this.count - 1, Math.floor((y - extra) / ROW_HEIGHT)));
  }

  /** The height of the list that is at the upper edge when the element is scrolled so far. */
  listTop(scrollTop: number): number {
    return Math.max(0, scrollTop) * this.scale;
  }

  /** How far the element has to be scrolled, so that this height of the list is at the upper edge. */
  scrollTop(listTop: number): number {
    return Math.max(0, Math.min(listTop, this.height - this.viewHeight)) / this.scale;
  }

  /** Where to draw the row in the element that is scrolled so far. */
  elementTop(row: number, scrollTop: number): number {
    return this.top(row) - this.listTop(scrollTop) + Math.max(0, scrollTop);
  }
}
